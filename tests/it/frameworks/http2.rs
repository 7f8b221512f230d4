//! What a client of HTTP/2 that still sends sees of a refusal, frame by frame.

use std::convert::Infallible;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tower::Layer;
use tower_mcp_auth::failed_attempts::FailedAttemptsLayer;
use tower_mcp_auth::mcp::{McpStack, OriginLayer};

use common::hs256_layer;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const ACK: u8 = 1;

/// A client that writes frames itself, and so can stop in the middle of a request.
struct Client(DuplexStream);

impl Client {
    async fn connect<S>(service: S) -> Self
    where
        S: tower::Service<Request<Incoming>, Response = Response<ResponseBody>, Error = Infallible>
            + Clone
            + Send
            + 'static,
        S::Future: Send,
    {
        let (client, server) = tokio::io::duplex(1 << 20);
        let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        let service = TowerToHyperService::new(service);
        common::spawn(builder.serve_connection(TokioIo::new(server), service));
        let mut client = Self(client);
        client
            .0
            .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
            .await
            .unwrap();
        client.write(SETTINGS, 0, 0, &[]).await;
        client
    }

    async fn write(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let mut frame = length[1..].to_vec();
        frame.extend([kind, flags]);
        frame.extend(stream.to_be_bytes());
        frame.extend(payload);
        self.0.write_all(&frame).await.unwrap();
    }

    /// A POST whose body is still to come.
    async fn post(&mut self, stream: u32, headers: &[(&str, &str)]) {
        // RFC 7541, appendix A: `:method: POST`, `:scheme: http`, `:path: /`.
        let mut block = vec![0x83, 0x86, 0x84];
        for (name, value) in [(":authority", "mcp.example.com")].iter().chain(headers) {
            // Section 6.2.2: a literal that is not indexed, with a new name.
            block.push(0);
            for text in [name, value] {
                assert!(text.len() < 127);
                block.push(u8::try_from(text.len()).unwrap());
                block.extend(text.as_bytes());
            }
        }
        self.write(HEADERS, END_HEADERS, stream, &block).await;
    }

    /// The next frame: its kind, flags and stream.
    async fn next(&mut self) -> (u8, u8, u32) {
        let mut head = [0; 9];
        let read = self.0.read_exact(&mut head);
        read.await.expect("an open connection");
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        self.0.read_exact(&mut payload).await.unwrap();
        let (kind, flags) = (head[3], head[4]);
        if kind == SETTINGS && flags & ACK == 0 {
            self.write(SETTINGS, ACK, 0, &[]).await;
        }
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        (kind, flags, stream)
    }

    /// The kinds of all frames of the answer on this stream; those of other streams are told of
    /// where they are resets.
    async fn answer(&mut self, of: u32) -> (Vec<u8>, Vec<u32>) {
        let (mut seen, mut resets) = (Vec::new(), Vec::new());
        loop {
            let (kind, flags, stream) = self.next().await;
            if kind == RST_STREAM {
                resets.push(stream);
            }
            if stream != of || ![DATA, HEADERS, RST_STREAM].contains(&kind) {
                continue;
            }
            seen.push(kind);
            if kind == RST_STREAM || flags & END_STREAM != 0 {
                return (seen, resets);
            }
        }
    }
}

type ResponseBody = http_body_util::combinators::UnsyncBoxBody<Bytes, Infallible>;

async fn never(_: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    panic!("a refused request was passed on")
}

/// Time stands still as long as there is work: the server has seen all that was sent.
async fn settle() {
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}

macro_rules! connect {
    ($layer:expr) => {{
        use http_body_util::BodyExt;
        let service = $layer.layer(tower::service_fn(never));
        let service = tower::ServiceExt::map_response(service, |response: Response<_>| {
            response.map(|body| BodyExt::boxed_unsync(body))
        });
        Client::connect(service).await
    }};
}

/// Whether the server resets a stream after its answer, which arrives while the body of the
/// request is still to come.
async fn is_reset(client: &mut Client, stream: u32, headers: &[(&str, &str)]) -> bool {
    client.post(stream, headers).await;
    settle().await;
    client.write(DATA, 0, stream, b"\0\0").await;
    settle().await;
    client.write(DATA, END_STREAM, stream, b"\0\0\0").await;
    let (frames, mut resets) = client.answer(stream).await;
    assert_eq!(frames[0], HEADERS, "{frames:?}");
    // A reset comes before the answer to a further request.
    client.post(stream + 2, &[]).await;
    client.write(DATA, END_STREAM, stream + 2, b"").await;
    resets.extend(client.answer(stream + 2).await.1);
    resets.contains(&stream)
}

#[tokio::test(start_paused = true)]
async fn a_refusal_of_a_small_message_does_not_reset_its_stream() {
    let origin = || OriginLayer::new("https://elsewhere.example/mcp").unwrap();
    let here = |_: tower_mcp_auth::RequestHead<'_>| Some([192, 0, 2, 1].into());
    let grpc = ("content-type", "application/grpc");
    let clients = [
        ("auth", connect!(hs256_layer())),
        ("stack", connect!(McpStack::new(origin(), hs256_layer()))),
        (
            "attempts",
            connect!(tower::layer::util::Stack::new(
                hs256_layer(),
                FailedAttemptsLayer::new(here)
            )),
        ),
    ];
    for (name, mut client) in clients {
        let headers: [&[(&str, &str)]; 4] = [
            &[],
            &[("content-length", "5")],
            &[grpc],
            &[grpc, ("authorization", "Bearer bad")],
        ];
        for (index, headers) in (0..).zip(headers) {
            let stream = 1 + 4 * index;
            assert!(
                !is_reset(&mut client, stream, headers).await,
                "{name} {headers:?}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_upload_is_refused_at_once_and_the_connection_stays() {
    let mut client = connect!(hs256_layer());
    client.post(1, &[("content-length", "10000000")]).await;
    let (frames, _) = client.answer(1).await;
    assert_eq!(frames[0], HEADERS, "{frames:?}");
    assert!(!is_reset(&mut client, 3, &[]).await);
}
