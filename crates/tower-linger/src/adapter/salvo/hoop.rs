//! The layer of requests as a hoop of salvo.

use std::convert::Infallible;
use std::mem::take;

use http::{Method, Response, StatusCode};
use http_body::Body;
use http_body_util::BodyExt as _;
use salvo_core::http::{ReqBody, ResBody};
use salvo_core::{Depot, FlowCtrl, Handler, Request, async_trait};

use crate::http::{Begun, RequestBody, RequestLayer, ResponseBody};

/// As a hoop of salvo: `Service::new(router).hoop(RequestLayer)`, before any other.
#[async_trait]
impl Handler for RequestLayer {
    async fn handle(
        &self,
        req: &mut Request,
        depot: &mut Depot,
        res: &mut salvo_core::Response,
        ctrl: &mut FlowCtrl,
    ) {
        let is_head = *req.method() == Method::HEAD;
        let body = req.take_body();
        let is_bodiless = body.is_end_stream();
        let begun = Begun::new(req.method(), req.version(), req.headers(), is_bodiless);
        let body = if is_bodiless { body } else { request_body(begun.body(body)) };
        req.replace_body(body);

        let mut has_body = false;
        let respond = async {
            ctrl.call_next(req, depot, res).await;
            // A handler of salvo only borrows the request, so one that did not read left the body there.
            drop(req.take_body());
            has_body = !res.body_mut().is_end_stream();
            Ok::<_, Infallible>(response(res, is_head))
        };
        let Ok(answered) = begun.respond(respond).await;
        let (head, body) = answered.into_parts();
        res.set_headers(head.headers);
        if has_body {
            res.replace_body(response_body(body));
        }
    }
}

/// The response so far, as the layer takes it. An empty body stays in `res`, because salvo looks at it.
fn response(res: &mut salvo_core::Response, is_head: bool) -> Response<ResBody> {
    let status = res.status_code.unwrap_or(StatusCode::OK);
    let failed = status.is_client_error() || status.is_server_error();
    let body = res.body_mut();
    let body = if !body.is_end_stream() {
        take(body)
    } else if failed && !is_head && (body.is_none() || body.is_error()) {
        // salvo's catcher will write a page, of which nothing is known yet. This stands for it, and is
        // dropped before its end, so that the exchange does not count as complete.
        ResBody::channel().1
    } else {
        ResBody::None
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = take(res.headers_mut());
    response
}

fn request_body(body: RequestBody<ReqBody>) -> ReqBody {
    ReqBody::Boxed { inner: Box::pin(body.map_err(Into::into)), fuse_config: None }
}

fn response_body(body: ResponseBody<ResBody>) -> ResBody {
    ResBody::Boxed(Box::pin(body.map_err(Into::into)))
}
