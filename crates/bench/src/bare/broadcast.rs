//! The bare broadcast: what is posted goes to every WebSocket, over actix-ws and a broadcast
//! channel.

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use actix_ws::{Message, MessageStream, Session};
use anyhow::Result;
use bytes::Bytes;
use tokio::sync::broadcast;

use crate::cli::BareOptions;

/// More than the generator ever has under way.
const CAPACITY: usize = 1024;
const CONNECTED: &str = r#"{"type":"connected"}"#;

/// Serves until killed.
pub(crate) fn serve(options: &BareOptions) -> Result<()> {
    let events = web::Data::new(broadcast::Sender::<Bytes>::new(CAPACITY));
    actix_web::rt::System::new().block_on(async {
        HttpServer::new(move || {
            App::new()
                .app_data(events.clone())
                .route("/health", web::get().to(HttpResponse::Ok))
                .route("/ws", web::get().to(subscribe))
                .route("/api/actions/{id}", web::post().to(publish))
        })
        .workers(options.workers)
        .bind(("127.0.0.1", options.port))?
        .run()
        .await?;
        Ok(())
    })
}

/// Wraps the body as the service's events are wrapped, so that the frames are as long.
async fn publish(body: web::Bytes, events: web::Data<broadcast::Sender<Bytes>>) -> HttpResponse {
    let event = [
        br#"{"offset":1234567,"type":"action","sessionId":"load-00","data":{"seq":1234567,"timestamp":"2026-01-01T00:00:00.000Z","#,
        body.get(1..).unwrap_or_default(),
        br#","timestamp":"2026-01-01T00:00:00.000Z"}"#,
    ]
    .concat();
    match events.send(event.into()) {
        Ok(_) => HttpResponse::Ok()
            .content_type("application/json")
            .body(r#"{"success":true}"#),
        Err(_) => HttpResponse::ServiceUnavailable().finish(),
    }
}

async fn subscribe(
    request: HttpRequest,
    body: web::Payload,
    events: web::Data<broadcast::Sender<Bytes>>,
) -> actix_web::Result<HttpResponse> {
    let (response, session, messages) = actix_ws::handle(&request, body)?;
    actix_web::rt::spawn(follow(session, messages, events.subscribe()));
    Ok(response)
}

/// Sends binary frames, whose bytes are shared: they cost what text costs.
async fn follow(
    mut session: Session,
    mut messages: MessageStream,
    mut events: broadcast::Receiver<Bytes>,
) {
    if session.text(CONNECTED).await.is_err() {
        return;
    }
    loop {
        let open = tokio::select! {
            event = events.recv() => match event {
                Ok(event) => session.binary(event).await.is_ok(),
                // Falling behind closes the socket, which fails the generator's row.
                Err(_) => false,
            },
            message = messages.recv() => matches!(message, Some(Ok(Message::Pong(_)))),
        };
        if !open {
            return;
        }
    }
}
