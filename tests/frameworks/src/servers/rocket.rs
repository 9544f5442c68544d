//! Rocket 0.5. There is no hook: it makes its own listener, and nothing of a connection is public.

use std::error::Error;

use rocket::config::TlsConfig;
use rocket::data::ToByteUnit as _;
use rocket::http::Status;
use rocket::{Config, Data, post, routes};

use crate::place::Place;

#[post("/", data = "<body>")]
async fn upload(body: Data<'_>) -> Result<&'static str, Status> {
    let body = body.open(1.mebibytes()).into_bytes().await.map_err(|_| Status::BadRequest)?;
    if body.is_complete() { Ok("thanks") } else { Err(Status::PayloadTooLarge) }
}

pub fn bare(at: Place) -> Result<(), Box<dyn Error>> {
    let mut config = Config::figment()
        .merge(("address", at.address.ip()))
        .merge(("port", at.address.port()))
        .merge(("log_level", "off"));
    if let Some(certificate) = at.certificate {
        config = config.merge(("tls", TlsConfig::from_paths(certificate.chain, certificate.key)));
    }
    rocket::execute(rocket::custom(config).mount("/", routes![upload]).launch())?;
    Ok(())
}
