//! A whole hyper server on loopback under load, without the layer, with it, and with what does
//! the least one can.
//!
//! The server has one thread, and a client in another thread keeps it busy: on each of its
//! connections the next request follows the answer. The client never sleeps. If it did, the
//! server would have to wake it, which costs several times what a layer does, and more often
//! the slower the server is; with clients on other machines it wakes none.

use std::convert::Infallible;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Instant;

use bytes::Bytes;
use cpu_time::ThreadTime;
use http::header::AUTHORIZATION;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tower::util::service_fn;
use tower::{Layer, Service};
use tower_mcp_auth::oauth::TokenCacheOptions;

use super::facts::{Fact, Limit};
use super::least::Least;
use super::measure::quantile;
use super::tokens::Key;

const CONNECTIONS: usize = 64;
const CALL: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"text":"hello"}}}"#;
const ANSWER: &str =
    r#"{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"hello"}]}}"#;
/// Asks how much CPU time the thread of the server has used.
const CPU_TIME: &str = "/cpu-time";

/// `rounds` rounds, in each of which all servers answer `turns` requests on each connection.
pub(crate) fn requests_per_second(rounds: usize, turns: usize) -> [Fact; 3] {
    let key = Key::rs256();
    let tokens = key.tokens(0, CONNECTIONS);
    let values: Vec<String> = tokens.iter().map(|it| format!("Bearer {it}")).collect();
    let inner = service_fn(answer);
    let mut loads = [
        serve(inner),
        serve(key.oauth_layer(TokenCacheOptions::new()).layer(inner)),
        serve(Least::new(inner, &AUTHORIZATION, "Bearer ", &values)),
    ]
    .map(|address| Load::new(address, &tokens));
    for load in &mut loads {
        load.round(turns);
    }
    let (mut layer, mut layer_cpu, mut least) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..rounds {
        // Each is first as often as the others.
        let mut spent = loads.each_ref().map(|_| None);
        for turn in 0..loads.len() {
            let server = (round + turn) % loads.len();
            spent[server] = Some(loads[server].round(turns));
        }
        let [Some(bare), Some(with), Some(with_least)] = spent else {
            unreachable!("each had its turn")
        };
        layer.push(bare.wall / with.wall);
        layer_cpu.push(bare.cpu / with.cpu);
        least.push(bare.wall / with_least.wall);
    }
    let fact = |label: &str, ratios: Vec<f64>, limit| Fact {
        label: label.to_owned(),
        value: 100.0 * (1.0 - quantile(ratios.into_iter(), 0.5)),
        unit: "%",
        limit,
    };
    [
        fact(
            "Requests per second of a hyper server, lost",
            layer,
            Limit::Most(5.0),
        ),
        fact(
            "The same by CPU time of the server's thread",
            layer_cpu,
            Limit::None,
        ),
        fact(
            "Lost by a middleware that checks nothing",
            least,
            Limit::None,
        ),
    ]
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let is_cpu_time = request.uri().path() == CPU_TIME;
    let body = request.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body.len(), CALL.len());
    let answer = if is_cpu_time {
        // As long as the other one.
        let width = ANSWER.len();
        let nanoseconds = ThreadTime::now().as_duration().as_nanos();
        Bytes::from(format!("{nanoseconds:0width$}"))
    } else {
        Bytes::from_static(ANSWER.as_bytes())
    };
    let response = Response::builder().header("content-type", "application/json");
    Ok(response.body(Full::new(answer)).unwrap())
}

/// Serves on a port of its own for as long as the process lives.
fn serve<S, B>(service: S) -> SocketAddr
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>,
    S: Clone + Send + 'static,
    S::Future: Send,
    B: http_body::Body<Data = Bytes, Error = Infallible> + Send + 'static,
{
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let run = async move {
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            let service = TowerToHyperService::new(service.clone());
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            tokio::spawn(async move {
                let _ = connection.await;
            });
        }
    };
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.enable_all().build().unwrap();
        runtime.block_on(run)
    });
    address
}

/// The client of one server.
struct Load {
    connections: Vec<(TcpStream, Vec<u8>)>,
    cpu_time: Vec<u8>,
    answer: Vec<u8>,
}

/// Seconds for a round.
struct Spent {
    wall: f64,
    cpu: f64,
}

impl Load {
    fn new(address: SocketAddr, tokens: &[String]) -> Self {
        let request = |path: &str, token: &str| {
            format!(
                "POST {path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\n\
                 content-type: application/json\r\naccept: application/json, text/event-stream\r\n\
                 mcp-protocol-version: 2025-11-25\r\ncontent-length: {}\r\n\r\n{CALL}",
                CALL.len()
            )
            .into_bytes()
        };
        let connect = |token: &String| {
            let stream = TcpStream::connect(address).unwrap();
            stream.set_nodelay(true).unwrap();
            (stream, request("/mcp", token))
        };
        let mut load = Self {
            connections: tokens.iter().map(connect).collect(),
            cpu_time: request(CPU_TIME, &tokens[0]),
            answer: vec![0; 4096],
        };
        // All answers are as long as the first.
        let (stream, request) = &mut load.connections[0];
        stream.write_all(request).unwrap();
        let mut length = 0;
        while !load.answer[..length].ends_with(ANSWER.as_bytes()) {
            let read = stream.read(&mut load.answer[length..]).unwrap();
            assert!(read > 0, "the server closed the connection");
            length += read;
        }
        assert!(load.answer.starts_with(b"HTTP/1.1 200 "));
        load.answer.truncate(length);
        load
    }

    fn round(&mut self, turns: usize) -> Spent {
        let cpu = self.server_cpu();
        let start = Instant::now();
        let mut left = vec![turns; self.connections.len()];
        for (stream, request) in &mut self.connections {
            stream.set_nonblocking(true).unwrap();
            stream.write_all(request).unwrap();
        }
        while left.iter().any(|left| *left > 0) {
            for ((stream, request), left) in self.connections.iter_mut().zip(&mut left) {
                if *left == 0 || !is_answered(stream, &mut self.answer) {
                    continue;
                }
                *left -= 1;
                if *left > 0 {
                    stream.write_all(request).unwrap();
                }
            }
        }
        let wall = start.elapsed().as_secs_f64();
        for (stream, _) in &mut self.connections {
            stream.set_nonblocking(false).unwrap();
        }
        Spent {
            wall,
            cpu: self.server_cpu() - cpu,
        }
    }

    fn server_cpu(&mut self) -> f64 {
        let (stream, _) = &mut self.connections[0];
        stream.write_all(&self.cpu_time).unwrap();
        stream.read_exact(&mut self.answer).unwrap();
        let digits = &self.answer[self.answer.len() - ANSWER.len()..];
        let nanoseconds: u64 = std::str::from_utf8(digits).unwrap().parse().unwrap();
        nanoseconds as f64 / 1e9
    }
}

/// Reads an answer if there is one. The server writes it in one piece.
fn is_answered(stream: &mut TcpStream, answer: &mut [u8]) -> bool {
    match stream.read(answer) {
        Ok(read) => {
            assert_eq!(read, answer.len(), "an answer comes in one piece");
            assert!(answer.ends_with(ANSWER.as_bytes()));
            true
        }
        Err(error) => {
            assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
            false
        }
    }
}
