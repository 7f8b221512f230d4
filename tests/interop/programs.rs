//! Starting the foreign programs, and never leaving one behind.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::TcpListener;
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

/// How long a program may take to start, or to answer a command: the clients give themselves a
/// minute once they run.
const DEADLINE: Duration = Duration::from_secs(120);
/// How long one may run to its end: the suite gives itself five minutes.
const LONG_DEADLINE: Duration = Duration::from_secs(330);

/// Where the scripts are, and what they need is installed: `tests/interop/`, or a copy of it
/// that the variable `INTEROP_DIR` names.
fn folder() -> PathBuf {
    let own = || Path::new(env!("CARGO_MANIFEST_DIR")).join("interop");
    std::env::var_os("INTEROP_DIR").map_or_else(own, PathBuf::from)
}

fn installed(path: &str) -> PathBuf {
    let program = folder().join(path);
    assert!(
        program.exists(),
        "{} is missing: tests/interop/README.md tells how to install it",
        program.display()
    );
    program
}

/// A program of this name somewhere below a folder of ours, as a package of Python has it.
pub(crate) fn installed_below(path: &str, name: &str) -> PathBuf {
    let mut folders = vec![installed(path)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder").flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                Ok(_) if entry.file_name() == name => return entry.path(),
                _ => {}
            }
        }
    }
    panic!("{name} is missing: tests/interop/README.md tells how to install it");
}

/// A script of the folder, run by the Node that came with it.
pub(crate) fn node(script: &str) -> Command {
    let mut command = Command::new(installed("node_modules/node/bin/node"));
    command.arg(installed(script));
    command
}

/// A script of the folder, run in its virtual environment.
pub(crate) fn python(script: &str) -> Command {
    python_of("venv", script)
}

/// A script of the folder, run in a virtual environment of it.
pub(crate) fn python_of(environment: &str, script: &str) -> Command {
    let mut command = Command::new(installed(&format!("{environment}/bin/python")));
    command.arg(installed(script));
    command
}

/// The server of the Django project, run in its own virtual environment.
pub(crate) fn django() -> Command {
    let mut command = Command::new(installed("django/venv/bin/python"));
    command.arg(installed("django/server.py"));
    command
}

/// An example of this crate, as `cargo build --workspace --examples` builds it.
///
/// It logs errors alone, so that what is printed of tests is what failed.
pub(crate) fn example(name: &str) -> Command {
    let mut path = std::env::current_exe().expect("the path of this test");
    path.pop();
    path.pop();
    path.push("examples");
    path.push(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    assert!(
        path.exists(),
        "{} is missing: `cargo build --workspace --all-features --examples` builds it",
        path.display()
    );
    let mut command = Command::new(path);
    command.env("RUST_LOG", "error");
    command
}

/// A port that was free a moment ago. Below those that connections are given by themselves.
pub(crate) async fn free_port() -> u16 {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    loop {
        let number = NEXT.fetch_add(1, Ordering::Relaxed) + std::process::id() as usize * 37;
        let port = 20_000 + u16::try_from(number % 2000).expect("small");
        if TcpListener::bind(("127.0.0.1", port)).await.is_ok() {
            return port;
        }
    }
}

/// Runs a program to its end and returns what it printed.
pub(crate) async fn run(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output();
    let output = timeout(LONG_DEADLINE, output).await.expect("it ends");
    let output = output.expect("it starts");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {stderr}");
    String::from_utf8(output.stdout).expect("text")
}

/// A program that runs as long as this value lives.
pub(crate) struct Running {
    _child: Child,
    stdin: ChildStdin,
    stdout: Lines<BufReader<ChildStdout>>,
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("it starts");
        let stdin = child.stdin.take().expect("a pipe");
        let stdout = child.stdout.take().expect("a pipe");
        Self {
            _child: child,
            stdin,
            stdout: BufReader::new(stdout).lines(),
        }
    }

    /// The rest of the first line from here on that begins so.
    pub(crate) async fn line(&mut self, beginning: &str) -> String {
        let line = async {
            while let Some(line) = self.stdout.next_line().await.expect("lines of text") {
                if let Some(rest) = line.strip_prefix(beginning) {
                    return rest.to_owned();
                }
            }
            panic!("it ended without saying {beginning:?}");
        };
        timeout(DEADLINE, line).await.expect("a line in time")
    }

    /// Writes a line and waits for the one that answers it.
    pub(crate) async fn command(&mut self, command: &str, answer: &str) {
        let rest = self.ask(command, answer).await;
        assert_eq!(rest, "", "the answer to {command:?}");
    }

    /// Writes a line and returns the rest of the one that answers it.
    pub(crate) async fn ask(&mut self, command: &str, beginning: &str) -> String {
        let line = format!("{command}\n");
        self.stdin.write_all(line.as_bytes()).await.expect("a pipe");
        self.stdin.flush().await.expect("a pipe");
        self.line(beginning).await
    }
}
