//! A change that is begun is finished. A handler is dropped where it waits when its client goes away: the database would
//! have the change, and the memory not.

use axum::http::StatusCode;

use super::problem::Problem;

/// What the work comes to, for a client that is still there.
pub async fn whole<T: Send + 'static, E: Into<Problem> + Send + 'static>(
    work: impl Future<Output = Result<T, E>> + Send + 'static,
) -> Result<T, Problem> {
    let broken_off = |_| {
        let detail = "the work was broken off; look whether it was done";
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, detail)
    };
    tokio::spawn(work).await.map_err(broken_off)?.map_err(E::into)
}
