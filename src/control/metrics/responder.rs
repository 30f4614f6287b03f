//! Which path is answered with what. Every answer is made from a snapshot that was taken after the
//! question.

use super::event_counts::EventCounter;
use super::http::{HttpRequest, HttpResponse, HttpStatus};
use super::{exposition, families, status_page};
use crate::agent::AgentSnapshot;
use crate::control::health::{HealthLevel, NodeHealth};
use crate::control::render;
use crate::control::snapshot_broker::SnapshotSource;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;
use tokio::time::timeout;

/// Returns how many lines of the log were lost since the start.
pub type LogLinesDropped = Box<dyn Fn() -> u64 + Send + Sync>;

/// What the answers are made from.
pub struct MetricsSources {
    /// The snapshots, of which the control server answers as well.
    pub snapshots: SnapshotSource,
    /// What the main thread counts.
    pub events: EventCounter,
    /// What the log counts.
    pub log_lines_dropped: LogLinesDropped,
}

/// The pages that there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum MetricsPage {
    Metrics,
    Health,
    Status,
}

impl MetricsPage {
    fn at(path: &str) -> Option<Self> {
        match path {
            "/metrics" => Some(Self::Metrics),
            "/health" => Some(Self::Health),
            "/" => Some(Self::Status),
            _ => None,
        }
    }
}

/// Responder requests.
pub(super) struct Responder {
    sources: MetricsSources,
    /// How long a snapshot is waited for.
    patience: Duration,
    /// The latest answers while somebody still sends them. All who share a snapshot share the
    /// answer, so that many connections neither make it often nor hold it often.
    latest: Mutex<BTreeMap<MetricsPage, LatestAnswer>>,
}

/// An answer that somebody may still be sending.
struct LatestAnswer {
    /// The snapshot that it was made from.
    snapshot: Weak<AgentSnapshot>,
    response: Weak<HttpResponse>,
}

impl Responder {
    pub(super) fn new(sources: MetricsSources, patience: Duration) -> Self {
        Self { sources, patience, latest: Mutex::default() }
    }

    /// Responder one request.
    pub(super) async fn answer(&self, request: &HttpRequest) -> Arc<HttpResponse> {
        let Some(page) = MetricsPage::at(&request.path) else {
            return HttpResponse::of_status(HttpStatus::NotFound).into();
        };
        match timeout(self.patience, self.sources.snapshots.snapshot()).await {
            Ok(Ok(snapshot)) => self.shared(page, &snapshot),
            Ok(Err(_stopping)) => unknown("vrrpd is stopping"),
            Err(_late) => unknown(&format!("no answer within {:?}", self.patience)),
        }
    }

    fn shared(&self, page: MetricsPage, snapshot: &Arc<AgentSnapshot>) -> Arc<HttpResponse> {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        // A weak pointer keeps its place in memory, so another snapshot cannot be there.
        let made =
            latest.get(&page).filter(|made| std::ptr::eq(made.snapshot.as_ptr(), Arc::as_ptr(snapshot)));
        if let Some(response) = made.and_then(|made| made.response.upgrade()) {
            return response;
        }
        let response = Arc::new(self.make(page, snapshot));
        let made = LatestAnswer { snapshot: Arc::downgrade(snapshot), response: Arc::downgrade(&response) };
        latest.insert(page, made);
        response
    }

    fn make(&self, page: MetricsPage, snapshot: &AgentSnapshot) -> HttpResponse {
        match page {
            MetricsPage::Metrics => {
                let routers = snapshot.snapshot.routers.iter();
                let counts =
                    self.sources.events.of(&routers.map(|router| router.spec.name.clone()).collect());
                let body = families::text(snapshot, &counts, (self.sources.log_lines_dropped)());
                HttpResponse { status: HttpStatus::Ok, content_type: exposition::CONTENT_TYPE, body }
            }
            MetricsPage::Health => {
                let health = NodeHealth::of(&snapshot.status(&snapshot.snapshot.routers));
                let status = match health.level {
                    // A demotion is a warning, and the node is well all the same.
                    HealthLevel::Ok | HealthLevel::Warning => HttpStatus::Ok,
                    HealthLevel::Critical => HttpStatus::ServiceUnavailable,
                };
                HttpResponse::plain(status, render::health(&health.document))
            }
            MetricsPage::Status => {
                let body = status_page::html(&snapshot.status(&snapshot.snapshot.routers));
                HttpResponse { status: HttpStatus::Ok, content_type: status_page::CONTENT_TYPE, body }
            }
        }
    }
}

/// The answer when the state of the node is not known.
fn unknown(why: &str) -> Arc<HttpResponse> {
    HttpResponse::plain(HttpStatus::ServiceUnavailable, render::health_unknown(why)).into()
}
