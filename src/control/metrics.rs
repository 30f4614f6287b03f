//! The endpoint for monitoring (`metrics` in `[agent]`): metrics for Prometheus, the health of the
//! node, and a page for a browser, over HTTP (docs/adr/0039-metrics.md).
//!
//! It runs on the main thread, and answers from the same snapshots as the control socket. It only
//! reads: nothing that is sent to it changes anything.

mod endpoint;
mod event_counts;
mod exposition;
mod families;
mod http;
mod responder;
mod status_page;

pub use endpoint::{EndpointLimits, MetricsEndpoint};
pub use event_counts::EventCounter;
pub use responder::{LogLinesDropped, MetricsSources};
