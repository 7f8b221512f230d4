//! A server of rmcp with what the conformance suite asks for. The names and texts are the
//! suite's; most answers are data.

// Sampling, logging and resource subscriptions are of the protocol up to 2025-11-25.
#![allow(deprecated)]

use std::time::Duration;

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, CompleteRequestParams, CompleteResult,
    ElicitRequest, GetPromptRequestParams, GetPromptResponse, GetPromptResult, InputRequiredResult,
    InputResponses, ListPromptsResult, ListResourceTemplatesResult, ListResourcesResult,
    ListToolsResult, PaginatedRequestParams, ReadResourceRequestParams, ReadResourceResponse,
    ReadResourceResult, ServerConfig, ServerRequest, SetLevelRequestParams, SubscribeRequestParams,
    SubscriptionFilter, UnsubscribeRequestParams,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer, ServerHandler};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use tokio::time::sleep;

/// A pixel.
const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==";
/// Silence.
const WAV: &str = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAIA+AAACABAAZGF0YQAAAAA=";

/// What a tool with this many rounds of input hands out and wants back.
const STATES: [&str; 2] = ["after one round", "after two rounds"];

type Context = RequestContext<RoleServer>;

#[derive(Clone)]
pub(crate) struct Everything;

/// One of rmcp's types from the JSON it stands for.
fn typed<T: DeserializeOwned>(value: Value) -> Result<T, ErrorData> {
    serde_json::from_value(value).map_err(failed)
}

#[expect(clippy::needless_pass_by_value, reason = "it stands in map_err")]
fn failed(error: impl ToString) -> ErrorData {
    ErrorData::internal_error(error.to_string(), None)
}

fn as_json(value: impl Serialize) -> Result<Value, ErrorData> {
    serde_json::to_value(value).map_err(failed)
}

fn text(text: impl Into<String>) -> Value {
    json!({ "type": "text", "text": text.into() })
}

fn embedded(uri: &str, mime_type: &str, text: &str) -> Value {
    json!({
        "type": "resource",
        "resource": { "uri": uri, "mimeType": mime_type, "text": text },
    })
}

/// The tools that always say the same.
fn said(tool: &str) -> Option<Value> {
    let image = json!({ "type": "image", "data": PNG, "mimeType": "image/png" });
    Some(match tool {
        "test_simple_text" => json!([text("This is a simple text response for testing.")]),
        "test_image_content" => json!([image]),
        "test_audio_content" => {
            json!([{ "type": "audio", "data": WAV, "mimeType": "audio/wav" }])
        }
        "test_embedded_resource" => json!([embedded(
            "test://embedded-resource",
            "text/plain",
            "This is an embedded resource content."
        )]),
        "test_multiple_content_types" => json!([
            text("Multiple content types test:"),
            image,
            embedded(
                "test://mixed-content-resource",
                "application/json",
                r#"{"test":"data","value":123}"#
            ),
        ]),
        "json_schema_2020_12_tool" => json!([text("well")]),
        _ => return None,
    })
}

/// The tools that ask the client while they run, up to 2025-11-25, and the form they send.
fn form(tool: &str) -> Option<Value> {
    let options = ["option1", "option2", "option3"];
    let properties = match tool {
        "test_elicitation" => json!({
            "username": { "type": "string", "description": "User's response" },
            "email": { "type": "string", "description": "User's email address" },
        }),
        "test_elicitation_sep1034_defaults" => json!({
            "name": { "type": "string", "default": "John Doe" },
            "age": { "type": "integer", "default": 30 },
            "score": { "type": "number", "default": 95.5 },
            "status": {
                "type": "string", "enum": ["active", "inactive", "pending"], "default": "active"
            },
            "verified": { "type": "boolean", "default": true },
        }),
        "test_elicitation_sep1330_enums" => json!({
            "untitledSingle": { "type": "string", "enum": options },
            "titledSingle": { "type": "string", "oneOf": titled("Option") },
            "legacyEnum": {
                "type": "string", "enum": ["opt1", "opt2", "opt3"],
                "enumNames": ["Option One", "Option Two", "Option Three"],
            },
            "untitledMulti": {
                "type": "array", "items": { "type": "string", "enum": options }
            },
            "titledMulti": { "type": "array", "items": { "anyOf": titled("Choice") } },
        }),
        _ => return None,
    };
    let required = match tool {
        "test_elicitation" => json!(["username", "email"]),
        _ => json!([]),
    };
    Some(json!({ "type": "object", "properties": properties, "required": required }))
}

fn titled(what: &str) -> Value {
    json!([
        { "const": "value1", "title": format!("First {what}") },
        { "const": "value2", "title": format!("Second {what}") },
        { "const": "value3", "title": format!("Third {what}") },
    ])
}

/// The tools and the prompt that need input from the client, since 2026-07-28: what they
/// ask for in each round.
fn rounds(name: &str) -> Option<Vec<Value>> {
    let elicit = |message: &str, property: &str, kind: &str| {
        json!({ "method": "elicitation/create", "params": {
            "mode": "form", "message": message,
            "requestedSchema": {
                "type": "object", "properties": { property: { "type": kind } },
                "required": [property],
            },
        }})
    };
    let sample = |question: &str, max_tokens: u32| {
        json!({ "method": "sampling/createMessage", "params": {
            "messages": [{ "role": "user", "content": text(question) }],
            "maxTokens": max_tokens,
        }})
    };
    let roots = json!({ "method": "roots/list", "params": {} });
    let name_of = |message| elicit(message, "name", "string");
    Some(match name {
        "test_input_required_result_elicitation" => {
            vec![json!({ "user_name": name_of("What is your name?") })]
        }
        "test_input_required_result_sampling" => {
            vec![json!({ "capital_question": sample("What is the capital of France?", 100) })]
        }
        "test_input_required_result_list_roots" => vec![json!({ "client_roots": roots })],
        "test_input_required_result_request_state"
        | "test_input_required_result_tampered_state" => {
            vec![json!({ "confirm": elicit("Please confirm", "ok", "boolean") })]
        }
        "test_input_required_result_multiple_inputs" => vec![json!({
            "user_name": name_of("What is your name?"),
            "greeting": sample("Generate a greeting", 50),
            "client_roots": roots,
        })],
        "test_input_required_result_multi_round" => vec![
            json!({ "step1": name_of("Step 1: What is your name?") }),
            json!({ "step2": elicit("Step 2: What is your favorite color?", "color", "string") }),
        ],
        "test_input_required_result_prompt" => {
            let message = "What context should the prompt use?";
            vec![json!({ "user_context": elicit(message, "context", "string") })]
        }
        _ => return None,
    })
}

/// How far the rounds of input got.
enum Input {
    Complete(String),
    Required(InputRequiredResult),
}

fn input(
    rounds: &[Value],
    responses: Option<InputResponses>,
    state: Option<&str>,
) -> Result<Input, ErrorData> {
    let done = match state {
        None => 0,
        Some(state) => STATES
            .iter()
            .position(|own| *own == state)
            .ok_or_else(|| ErrorData::invalid_params("the requestState is not ours", None))?,
    };
    let asked = rounds.get(done).and_then(Value::as_object);
    let asked = asked.ok_or_else(|| ErrorData::invalid_params("there is no such round", None))?;
    let responses = responses.unwrap_or_default();
    let complete = asked
        .keys()
        .all(|key| responses.get(key).is_some_and(Value::is_object));
    let next = done + usize::from(complete);
    Ok(match rounds.get(next) {
        // What was not asked for is left out.
        None => {
            let answers: Map<_, _> = asked
                .keys()
                .map(|key| (key.clone(), responses[key].clone()))
                .collect();
            Input::Complete(format!("state-ok {}", Value::Object(answers)))
        }
        Some(requests) => Input::Required(typed(json!({
            "resultType": "input_required",
            "inputRequests": requests,
            "requestState": STATES[next],
        }))?),
    })
}

/// Every tool with the schema of its arguments.
fn tools() -> Value {
    let string = json!({ "type": "string" });
    let plain = [
        "test_simple_text",
        "test_image_content",
        "test_audio_content",
        "test_embedded_resource",
        "test_multiple_content_types",
        "test_tool_with_logging",
        "test_tool_with_progress",
        "test_error_handling",
        "test_elicitation_sep1034_defaults",
        "test_elicitation_sep1330_enums",
        "test_input_required_result_elicitation",
        "test_input_required_result_sampling",
        "test_input_required_result_list_roots",
        "test_input_required_result_request_state",
        "test_input_required_result_tampered_state",
        "test_input_required_result_multiple_inputs",
        "test_input_required_result_multi_round",
    ];
    let mut tools: Vec<Value> = plain
        .iter()
        .map(|name| tool(name, json!({ "type": "object", "properties": {} })))
        .collect();
    for (name, argument) in [("test_sampling", "prompt"), ("test_elicitation", "message")] {
        let schema = json!({
            "type": "object", "properties": { argument: string }, "required": [argument],
        });
        tools.push(tool(name, schema));
    }
    tools.push(tool(
        "json_schema_2020_12_tool",
        json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "$defs": { "address": {
                "$anchor": "addressDef", "type": "object",
                "properties": { "street": string, "city": string },
            }},
            "properties": {
                "name": string, "address": { "$ref": "#/$defs/address" },
                "contactMethod": { "type": "string", "enum": ["phone", "email"] },
                "phone": string, "email": string,
            },
            "allOf": [{ "anyOf": [{ "required": ["phone"] }, { "required": ["email"] }] }],
            "if": {
                "properties": { "contactMethod": { "const": "phone" } },
                "required": ["contactMethod"],
            },
            "then": { "required": ["phone"] },
            "else": { "required": ["email"] },
            "additionalProperties": false,
        }),
    ));
    json!({ "tools": tools })
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "it becomes part of the result"
)]
fn tool(name: &str, schema: Value) -> Value {
    json!({ "name": name, "description": "For the conformance suite", "inputSchema": schema })
}

impl Everything {
    /// The tools that do something on the way; their content, and whether it is an error.
    async fn act(
        &self,
        request: &CallToolRequestParams,
        context: &Context,
    ) -> Result<(String, bool), ErrorData> {
        let argument = |name: &str| {
            let value = request.arguments.as_ref().and_then(|all| all.get(name));
            value.and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let pause = Duration::from_millis(50);
        match &*request.name {
            "test_error_handling" => {
                let text = "This tool intentionally returns an error for testing";
                return Ok((text.to_owned(), true));
            }
            "test_tool_with_logging" => {
                for data in [
                    "Tool execution started",
                    "Tool processing data",
                    "Tool execution completed",
                ] {
                    let message = typed(json!({ "level": "info", "data": data }))?;
                    context
                        .peer
                        .notify_logging_message(message)
                        .await
                        .map_err(failed)?;
                    sleep(pause).await;
                }
            }
            "test_tool_with_progress" => {
                for progress in [0, 50, 100] {
                    if let Some(token) = context.meta.get_progress_token() {
                        let message = typed(json!({
                            "progressToken": token, "progress": progress, "total": 100,
                        }))?;
                        context
                            .peer
                            .notify_progress(message)
                            .await
                            .map_err(failed)?;
                    }
                    sleep(pause).await;
                }
            }
            "test_sampling" => {
                let question = typed(json!({
                    "messages": [{ "role": "user", "content": text(argument("prompt")) }],
                    "maxTokens": 100,
                }))?;
                let answer = context
                    .peer
                    .create_message(question)
                    .await
                    .map_err(failed)?;
                let answer = as_json(answer)?;
                let answer = answer["content"]["text"].as_str().unwrap_or_default();
                return Ok((format!("LLM response: {answer}"), false));
            }
            name => {
                let unknown = || ErrorData::invalid_params("there is no such tool", None);
                let schema = form(name).ok_or_else(unknown)?;
                let message = match argument("message") {
                    none if none.is_empty() => "Please fill in this form".to_owned(),
                    message => message,
                };
                let question = typed(json!({
                    "mode": "form", "message": message, "requestedSchema": schema,
                }))?;
                let request = ServerRequest::ElicitRequest(ElicitRequest::new(question));
                let answer = context.peer.send_request(request).await.map_err(failed)?;
                let answer = as_json(answer)?;
                let (action, content) = (&answer["action"], &answer["content"]);
                let action = action.as_str().unwrap_or_default();
                return Ok((
                    format!("User response: action={action}, content={content}"),
                    false,
                ));
            }
        }
        Ok(("done".to_owned(), false))
    }
}

impl ServerHandler for Everything {
    fn get_info(&self) -> ServerConfig {
        let capabilities = json!({
            "tools": { "listChanged": true }, "prompts": { "listChanged": true },
            "resources": { "subscribe": true, "listChanged": true },
            "logging": {}, "completions": {},
        });
        ServerConfig::new(typed(capabilities).expect("capabilities"))
    }

    fn accepted_subscription_filter(
        &self,
        requested: &SubscriptionFilter,
    ) -> Option<SubscriptionFilter> {
        Some(requested.clone())
    }

    async fn complete(
        &self,
        _: CompleteRequestParams,
        _: Context,
    ) -> Result<CompleteResult, ErrorData> {
        typed(json!({
            "resultType": "complete",
            "completion": { "values": ["paris", "park", "party"], "total": 3, "hasMore": false },
        }))
    }

    async fn set_level(&self, _: SetLevelRequestParams, _: Context) -> Result<(), ErrorData> {
        Ok(())
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: Context,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult {
            tools: typed(tools()["tools"].take())?,
            ..ListToolsResult::default()
        })
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: Context,
    ) -> Result<CallToolResponse, ErrorData> {
        let (content, is_error) = if let Some(content) = said(&request.name) {
            (content, false)
        } else if let Some(rounds) = rounds(&request.name) {
            let state = request.request_state.as_deref();
            match input(&rounds, request.input_responses, state)? {
                Input::Required(result) => return Ok(result.into()),
                Input::Complete(answers) => (json!([text(answers)]), false),
            }
        } else {
            let (answer, is_error) = self.act(&request, &context).await?;
            (json!([text(answer)]), is_error)
        };
        let result: CallToolResult = typed(json!({
            "resultType": "complete", "content": content, "isError": is_error,
        }))?;
        Ok(result.into())
    }

    async fn list_prompts(
        &self,
        _: Option<PaginatedRequestParams>,
        _: Context,
    ) -> Result<ListPromptsResult, ErrorData> {
        let prompt = |name: &str, arguments: &[&str]| {
            let arguments: Vec<Value> = arguments
                .iter()
                .map(|name| json!({ "name": name, "description": "Any text", "required": true }))
                .collect();
            json!({
                "name": name, "description": "For the conformance suite", "arguments": arguments,
            })
        };
        Ok(ListPromptsResult {
            prompts: typed(json!([
                prompt("test_simple_prompt", &[]),
                prompt("test_prompt_with_arguments", &["arg1", "arg2"]),
                prompt("test_prompt_with_embedded_resource", &["resourceUri"]),
                prompt("test_prompt_with_image", &[]),
                prompt("test_input_required_result_prompt", &[]),
            ]))?,
            ..ListPromptsResult::default()
        })
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        _: Context,
    ) -> Result<GetPromptResponse, ErrorData> {
        let arguments = as_json(&request.arguments)?;
        let argument = |name: &str| arguments[name].as_str().unwrap_or_default();
        let contents = match &*request.name {
            "test_simple_prompt" => vec![text("This is a simple prompt for testing.")],
            "test_prompt_with_arguments" => vec![text(format!(
                "Prompt with arguments: arg1='{}', arg2='{}'",
                argument("arg1"),
                argument("arg2")
            ))],
            "test_prompt_with_embedded_resource" => vec![
                embedded(
                    argument("resourceUri"),
                    "text/plain",
                    "Embedded resource content for testing.",
                ),
                text("Please process the embedded resource above."),
            ],
            "test_prompt_with_image" => vec![
                json!({ "type": "image", "data": PNG, "mimeType": "image/png" }),
                text("Please analyze the image above."),
            ],
            name => {
                let unknown = || ErrorData::invalid_params("there is no such prompt", None);
                let rounds = rounds(name).ok_or_else(unknown)?;
                let state = request.request_state.as_deref();
                match input(&rounds, request.input_responses, state)? {
                    Input::Required(result) => return Ok(result.into()),
                    Input::Complete(answers) => vec![text(answers)],
                }
            }
        };
        let messages: Vec<Value> = contents
            .into_iter()
            .map(|content| json!({ "role": "user", "content": content }))
            .collect();
        let result: GetPromptResult =
            typed(json!({ "resultType": "complete", "messages": messages }))?;
        Ok(result.into())
    }

    async fn list_resources(
        &self,
        _: Option<PaginatedRequestParams>,
        _: Context,
    ) -> Result<ListResourcesResult, ErrorData> {
        let resource = |name: &str, mime_type: &str| {
            json!({
                "uri": format!("test://{name}"), "name": name, "mimeType": mime_type,
                "description": "For the conformance suite",
            })
        };
        Ok(ListResourcesResult {
            resources: typed(json!([
                resource("static-text", "text/plain"),
                resource("static-binary", "image/png"),
                resource("watched-resource", "text/plain"),
            ]))?,
            ..ListResourcesResult::default()
        })
    }

    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        _: Context,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        Ok(ListResourceTemplatesResult {
            resource_templates: typed(json!([{
                "uriTemplate": "test://template/{id}/data", "name": "template",
                "description": "For the conformance suite", "mimeType": "application/json",
            }]))?,
            ..ListResourceTemplatesResult::default()
        })
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _: Context,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let uri = &*request.uri;
        let template = uri
            .strip_prefix("test://template/")
            .and_then(|rest| rest.strip_suffix("/data"));
        let content = match (uri, template) {
            ("test://static-text", _) => json!({
                "mimeType": "text/plain",
                "text": "This is the content of the static text resource.",
            }),
            ("test://static-binary", _) => json!({ "mimeType": "image/png", "blob": PNG }),
            ("test://watched-resource", _) => json!({ "mimeType": "text/plain", "text": "still" }),
            (_, Some(id)) => {
                let data = json!({
                    "id": id, "templateTest": true, "data": format!("Data for ID: {id}"),
                });
                json!({ "mimeType": "application/json", "text": data.to_string() })
            }
            (_, None) => {
                let data = Some(json!({ "uri": uri }));
                return Err(ErrorData::invalid_params("Resource not found", data));
            }
        };
        let mut content = content;
        content["uri"] = uri.into();
        let result: ReadResourceResult =
            typed(json!({ "resultType": "complete", "contents": [content] }))?;
        Ok(result.into())
    }

    async fn subscribe(&self, _: SubscribeRequestParams, _: Context) -> Result<(), ErrorData> {
        Ok(())
    }

    async fn unsubscribe(&self, _: UnsubscribeRequestParams, _: Context) -> Result<(), ErrorData> {
        Ok(())
    }
}
