//! Servers that send and send, and never answer: on a raw connection.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tower_mcp_auth::doctor::{Options, Report, Severity, Verdict, examine};

/// What the doctor says of a server that sends `start` once, and then `piece` without end.
async fn look_at_flood(start: &'static str, piece: &'static str) -> Report {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    let serving = common::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            common::spawn(async move {
                let _ = stream.read(&mut [0; 4096]).await;
                let _ = stream.write_all(start.as_bytes()).await;
                let many = piece.repeat(1000);
                while stream.write_all(many.as_bytes()).await.is_ok() {}
            });
        }
    });
    let report = examine(Options::new(url).unwrap()).await;
    serving.abort();
    report
}

#[tokio::test]
async fn interim_responses_without_end_are_named() {
    for (name, piece, status) in [
        (
            "103",
            "HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n",
            "(103)",
        ),
        ("100", "HTTP/1.1 100 Continue\r\n\r\n", "(100)"),
    ] {
        let report = look_at_flood("", piece).await;
        let codes = report.codes(Severity::Fault);
        assert_eq!(codes, ["interim_responses"], "{name}: {report}");
        assert_eq!(report.verdict, Verdict::Unseen, "{name}: {report}");
        let seen = &report.findings[0].evidence[0];
        assert!(seen.contains("interim responses"), "{name}: {seen}");
        assert!(seen.contains(status), "{name}: {seen}");
    }
}

#[tokio::test(start_paused = true)]
async fn interim_responses_and_then_silence_are_named() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    common::spawn(async move {
        let mut kept = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.write_all(b"HTTP/1.1 103 Early Hints\r\n\r\n").await;
            kept.push(stream);
        }
    });
    let report = examine(Options::new(url).unwrap()).await;
    assert_eq!(
        report.codes(Severity::Fault),
        ["interim_responses"],
        "{report}"
    );
    let seen = &report.findings[0].evidence[0];
    assert!(seen.contains("within 10 s"), "{seen}");
}

#[tokio::test]
async fn a_few_interim_responses_are_no_fault() {
    let few = "HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n".repeat(8);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    common::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 4096]).await;
            let answer = format!("{few}HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n");
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    let report = examine(Options::new(url).unwrap()).await;
    assert_eq!(
        report.codes(Severity::Fault),
        ["endpoint_not_found"],
        "{report}"
    );
}

#[tokio::test]
async fn a_head_without_end_is_given_up() {
    for (start, piece) in [
        ("HTTP/1.1 401 Unauthorized\r\nx: ", "aaaaaaaa"),
        ("HTTP/1.1 401 Unauthorized\r\n", "x: y\r\n"),
    ] {
        let report = look_at_flood(start, piece).await;
        assert_eq!(report.codes(Severity::Fault), ["unreachable"], "{report}");
        assert_eq!(report.verdict, Verdict::Unseen);
    }
}

#[tokio::test]
async fn a_body_without_end_is_cut() {
    // A chunk of one byte costs five more on the wire.
    for (start, piece) in [
        ("HTTP/1.1 404 Not Found\r\n\r\n", "aaaaaaaa"),
        (
            "HTTP/1.1 404 Not Found\r\ntransfer-encoding: chunked\r\n\r\n",
            "1\r\na\r\n",
        ),
    ] {
        let report = look_at_flood(start, piece).await;
        assert_eq!(
            report.codes(Severity::Fault),
            ["endpoint_not_found"],
            "{report}"
        );
    }
}
