//! Makes an API key, and what is kept of it.
//!
//! Run with the prefix of your service, and whose key it is if that is known:
//!
//! ```sh
//! cargo run --example generate_key -- acme alice
//! ```
//!
//! The key goes to standard error, where it is seen and lands in no file; its lines for a
//! key file go to standard output:
//!
//! ```sh
//! cargo run --example generate_key -- acme alice >> keys.toml
//! ```
//!
//! A key made elsewhere is kept by its digest with a pepper: with one in `API_KEY_PEPPER`, the
//! key is read from standard input.
//!
//! ```sh
//! API_KEY_PEPPER=… cargo run --example generate_key -- --foreign alice >> keys.toml
//! ```

use std::env;
use std::error::Error;
use std::process::ExitCode;

use tower_mcp_auth::api_key::{ApiKey, KeyDigest, Pepper};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let prefix = arguments.next().unwrap_or_else(|| "key".to_owned());
    let owner = arguments.next();
    if prefix == "--foreign" {
        let pepper = env::var("API_KEY_PEPPER")
            .map_err(|_| "API_KEY_PEPPER is not set; `openssl rand -base64 32` makes one")?;
        let mut key = String::new();
        std::io::stdin().read_line(&mut key)?;
        let digest = KeyDigest::from_external(key.trim_end(), &Pepper::new(pepper)?)?;
        print_key(digest, None, owner.as_deref());
        return Ok(());
    }
    let new = ApiKey::generate(&prefix)?;
    eprintln!("for its holder, shown once: {}", new.expose());
    print_key(new.digest(), Some(new.id()), owner.as_deref());
    Ok(())
}

fn print_key(digest: KeyDigest, id: Option<&str>, owner: Option<&str>) {
    println!("[[keys]]\ndigest = \"{digest}\"");
    if let Some(id) = id {
        println!("id = \"{id}\"");
    }
    if let Some(owner) = owner {
        // A TOML string, escaped as Rust does: the same for all that is printable.
        println!("owner = {owner:?}");
    }
}
