//! Layers from a configuration.

mod certificates;
mod disabled;
mod documents;
mod dpop;
mod errors;
mod mistakes;
mod quotas;
mod resources;
mod revocation;
mod secrets;
mod settings;
mod shared;
mod strength;
mod together;
mod values;

use tower_mcp_auth::ConfigError;
use tower_mcp_auth::config::Config;

const KEY: &str = "b25lLXJhbmRvbS1rZXktMTIzNA";
const SECRET: &str = "R7vJ2nWq9sLx4TzK8mYc3FbHd6GpAeU5";
const RESOURCE: &str = "https://mcp.example.com/mcp";

#[track_caller]
fn config(value: &serde_json::Value) -> Config {
    Config::from_json(&value.to_string()).unwrap()
}

/// What is wrong with it, when it is read or when its layers are made.
#[track_caller]
fn refused(value: &serde_json::Value) -> ConfigError {
    match all_layers(&value.to_string()) {
        Err(error) => error,
        Ok(()) => panic!("accepted: {value}"),
    }
}

fn all_layers(json: &str) -> Result<(), ConfigError> {
    let config = Config::from_json(json)?;
    let _ = config.auth_layer()?;
    config.session_layer()?;
    config.policy_layers()?;
    if json.contains("\"resource\"") {
        let _ = config.origin_layer()?;
    }
    Ok(())
}
