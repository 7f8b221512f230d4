//! API keys in an SQL table: SQLite, which starts with the program.
//!
//! Run with
//!
//! ```sh
//! cargo run -p dev --example sqlite_keys
//! ```
//!
//! and paste the `curl` lines it prints: they hold keys made at start.
//!
//! ```sh
//! curl -i http://127.0.0.1:3000/hello -H 'X-API-Key: …'
//! curl -i -X POST http://127.0.0.1:3000/keys/…/revoke -H 'X-API-Key: …'
//! ```

#[path = "support/listen.rs"]
mod listen;
#[path = "support/trace.rs"]
mod trace;

use std::fmt;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use rusqlite::{Connection, OptionalExtension, params};
use tower_mcp_auth::api_key::{
    ApiKey, ApiKeyProvider, ApiKeyStore, ApiKeyStoreError, CachedApiKeyStore, KeyDigest, KeyLookup,
    LookupFuture,
};
use tower_mcp_auth::{ApiKeyLayer, ConfigError, Principal};

/// The digest says which key it is, so it is the primary key; a key itself is never stored.
const TABLE: &str = "
    CREATE TABLE api_keys (
        digest       TEXT PRIMARY KEY,
        id           TEXT UNIQUE,
        name         TEXT NOT NULL DEFAULT '',
        owner        TEXT NOT NULL DEFAULT '',
        scopes       TEXT NOT NULL DEFAULT '',
        resources    TEXT,
        expires_at   INTEGER,
        revoked      INTEGER NOT NULL DEFAULT 0,
        last_used_at INTEGER
    ) STRICT, WITHOUT ROWID";

/// The table. SQLite is quick and its calls block, so they are made on threads that may.
#[derive(Clone)]
struct Table(Arc<Mutex<Connection>>);

impl Table {
    fn new() -> rusqlite::Result<Self> {
        // A real server opens a file, readable by its owner alone.
        let connection = Connection::open_in_memory()?;
        connection.execute_batch(TABLE)?;
        Ok(Self(Arc::new(Mutex::new(connection))))
    }

    fn with<T>(&self, run: impl FnOnce(&Connection) -> T) -> T {
        run(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Makes a key, stores its digest, and returns the key and its id.
    fn create(
        &self,
        (owner, name, scopes): (&str, &str, &str),
        resources: Option<&str>,
        expires_at: Option<SystemTime>,
    ) -> Result<(String, String), Box<dyn std::error::Error>> {
        let new = ApiKey::generate("acme")?;
        self.with(|table| {
            table.execute(
                "INSERT INTO api_keys (digest, id, owner, name, scopes, resources, expires_at)
                 VALUES (?, ?, ?, ?, ?, ?, ?)",
                params![
                    new.digest().to_string(),
                    new.id(),
                    owner,
                    name,
                    scopes,
                    resources,
                    expires_at.map(seconds),
                ],
            )
        })?;
        Ok((new.expose().to_owned(), new.id().to_owned()))
    }

    fn find(&self, digest: &KeyDigest) -> Result<Option<ApiKey>, ApiKeyStoreError> {
        let row = self.with(|table| {
            let mut query = table.prepare(
                "SELECT id, name, owner, scopes, resources, expires_at, revoked
                 FROM api_keys WHERE digest = ?",
            )?;
            let row = query.query_row([digest.to_string()], |row| {
                Ok(Row {
                    id: row.get::<_, Option<String>>(0)?.unwrap_or_default(),
                    name: row.get(1)?,
                    owner: row.get(2)?,
                    scopes: row.get(3)?,
                    resources: row.get(4)?,
                    expires_at: row.get(5)?,
                    revoked: row.get(6)?,
                })
            });
            row.optional()
        });
        match row {
            Ok(row) => Ok(row.map(|row| row.into_key(*digest)).transpose()?),
            Err(error) => Err(ApiKeyStoreError::unreachable(error.to_string())),
        }
    }

    fn revoke(&self, id: &str) -> rusqlite::Result<Option<String>> {
        self.with(|table| {
            let sql = "UPDATE api_keys SET revoked = 1 WHERE id = ? RETURNING digest";
            table.query_row(sql, [id], |row| row.get(0)).optional()
        })
    }

    fn used(&self, digest: &KeyDigest, at: SystemTime) -> rusqlite::Result<usize> {
        self.with(|table| {
            table.execute(
                "UPDATE api_keys SET last_used_at = ? WHERE digest = ?",
                params![seconds(at), digest.to_string()],
            )
        })
    }
}

struct Row {
    id: String,
    name: String,
    owner: String,
    scopes: String,
    /// URLs with white space between them.
    resources: Option<String>,
    expires_at: Option<i64>,
    revoked: bool,
}

impl Row {
    fn into_key(self, digest: KeyDigest) -> Result<ApiKey, ConfigError> {
        let mut key = ApiKey::from_digest(digest)
            .id(self.id)
            .name(self.name)
            .owner(self.owner)
            .revoked(self.revoked)
            .scopes(self.scopes.split_whitespace())?;
        if let Some(resources) = &self.resources {
            key = key.resources(resources.split_whitespace())?;
        }
        match self.expires_at {
            // Before 1970 is long ago as well.
            Some(at) => {
                let at = Duration::from_secs(at.try_into().unwrap_or(0));
                key.expires_at(UNIX_EPOCH + at)
            }
            None => Ok(key),
        }
    }
}

impl ApiKeyStore for Table {
    fn find(&self, wanted: KeyLookup) -> LookupFuture {
        let table = self.clone();
        Box::pin(async move {
            let found = tokio::task::spawn_blocking(move || table.find(wanted.digest()));
            found
                .await
                .map_err(|_| ApiKeyStoreError::failed("the query panicked"))?
        })
    }
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Table")
    }
}

#[derive(Clone)]
struct Shared {
    table: Table,
    keys: ApiKeyProvider,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    trace::install();
    let table = Table::new()?;
    let yesterday = SystemTime::now() - Duration::from_secs(86_400);
    let (listener, url) = listen::listen(3000).await;
    let here = Some(&*url);
    let (laptop, laptop_id) = table.create(("alice", "laptop", ""), here, None)?;
    let (phone, _) = table.create(("alice", "phone", ""), None, None)?;
    let (expired, _) = table.create(("bob", "laptop", ""), here, Some(yesterday))?;
    let (admin, _) = table.create(("carol", "", "keys:revoke"), here, None)?;
    let staging = Some("https://staging.example.com");
    let (elsewhere, _) = table.create(("dave", "", ""), staging, None)?;

    // Uses are written down behind the requests; where that is too slow, some are lost.
    let (sender, uses) = sync_channel(1024);
    let writer = table.clone();
    std::thread::spawn(move || {
        for (digest, at) in uses {
            if let Err(error) = writer.used(&digest, at) {
                eprintln!("a use was not written down: {error}");
            }
        }
    });
    let keys = CachedApiKeyStore::new(table.clone()).positive_ttl(Duration::from_secs(10));
    let auth = ApiKeyLayer::from_store(keys)
        // Keys that name resources are good here if this is one of them.
        .resource(&url)?
        .on_use(Duration::from_secs(60), move |used| {
            if let Some(digest) = used.digest() {
                let _ = sender.try_send((digest, used.at()));
            }
        });

    let keys = auth.keys().clone();
    let app = Router::new()
        .route("/hello", get(hello))
        .route("/keys/{id}/revoke", post(revoke))
        .with_state(Shared { table, keys })
        .layer(auth);

    let last = if laptop.ends_with('x') { 'y' } else { 'x' };
    let typo = format!("{}{last}", &laptop[..laptop.len() - 1]);
    println!("# without a key: 401\ncurl -i {url}/hello\n");
    println!("# with a good key: 200\ncurl -i {url}/hello -H 'X-API-Key: {laptop}'\n");
    println!("# with another of the owner: 200\ncurl -i {url}/hello -H 'X-API-Key: {phone}'\n");
    println!("# with an expired key: 401\ncurl -i {url}/hello -H 'X-API-Key: {expired}'\n");
    println!("# with a mistyped key: 401\ncurl -i {url}/hello -H 'X-API-Key: {typo}'\n");
    println!(
        "# with a key for another server: 401\ncurl -i {url}/hello -H 'X-API-Key: {elsewhere}'\n"
    );
    let revoke = format!("curl -i -X POST {url}/keys/{laptop_id}/revoke");
    println!("# revoking without the scope: 403\n{revoke} -H 'X-API-Key: {phone}'\n");
    println!("# revoking the first key: 200\n{revoke} -H 'X-API-Key: {admin}'\n");
    println!("# with the revoked key: 401\ncurl -i {url}/hello -H 'X-API-Key: {laptop}'\n");
    println!("# with the other, as before: 200\ncurl -i {url}/hello -H 'X-API-Key: {phone}'\n");
    println!("listening on {url}");
    axum::serve(listener, app).await?;
    Ok(())
}

async fn hello(principal: Principal) -> String {
    let name = principal.claims().get("key_name");
    let name = name.and_then(|name| name.as_str()).unwrap_or("a key");
    format!(
        "hello {}, by {name}\n",
        principal.subject().unwrap_or("somebody")
    )
}

async fn revoke(
    principal: Principal,
    State(Shared { table, keys }): State<Shared>,
    Path(id): Path<String>,
) -> Result<&'static str, (StatusCode, &'static str)> {
    if !principal.scopes().contains("keys:revoke") {
        return Err((StatusCode::FORBIDDEN, "this key may not revoke keys\n"));
    }
    let failed = (StatusCode::INTERNAL_SERVER_ERROR, "not revoked\n");
    let revoked = tokio::task::spawn_blocking(move || table.revoke(&id)).await;
    let digest = revoked.map_err(|_| failed)?.map_err(|_| failed)?;
    let digest = digest.ok_or((StatusCode::NOT_FOUND, "there is no such key\n"))?;
    // This process hears of it now; others when what they remember has had its life.
    keys.invalidate(&digest.parse().map_err(|_| failed)?);
    Ok("revoked\n")
}

fn seconds(at: SystemTime) -> i64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_secs().try_into().unwrap_or(i64::MAX)
}
