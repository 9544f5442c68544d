//! Clients that have an open WebSocket.

use tokio_stream::StreamExt;
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue, Request};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::stream::Stream;
use super::{Case, Ready, Scene, Unready};

/// Waits for the server's Close frame, and for the end of the connection.
pub(super) async fn run(scene: &Scene, case: &mut Case, ready: Ready) {
    let opened = async {
        let stream = Stream::open(&scene.target, false).await.map_err(|error| error.to_string())?;
        case.seen = stream.seen();
        match client_async(request(scene)?, stream).await {
            Ok((socket, _)) => Ok(socket),
            Err(Error::Http(response)) => {
                Err(format!("it is answered {}, not 101: --websocket-path", response.status().as_u16()))
            }
            Err(error) => Err(error.to_string()),
        }
    };
    let mut socket = match opened.await {
        Ok(socket) => socket,
        Err(why) => return drop(ready.send(Err(Unready::Failed(why)))),
    };
    let _ = ready.send(Ok(()));
    // The library answers pings and the Close frame.
    while let Some(Ok(message)) = socket.next().await {
        if let Message::Close(frame) = message {
            case.client.close_frame = Some(true);
            case.client.close_code = frame.map(|frame| frame.code.into());
        }
    }
    case.client.fate = case.closed();
}

fn request(scene: &Scene) -> Result<Request<()>, String> {
    let target = &scene.target;
    let scheme = if target.tls.is_some() { "wss" } else { "ws" };
    let path = scene.plan.websocket_path.as_deref().unwrap_or_default();
    let url = format!("{scheme}://{}{path}", target.authority);
    let mut request = url.into_client_request().map_err(|error| error.to_string())?;
    for field in target.header_fields(&scene.options) {
        let (name, value) = field.split_once(':').unwrap_or((field, ""));
        let name: HeaderName = name.trim().parse().map_err(|_| format!("-H '{field}' is no header field"))?;
        let value: HeaderValue =
            value.trim().parse().map_err(|_| format!("-H '{field}' is no header field"))?;
        request.headers_mut().append(name, value);
    }
    Ok(request)
}
