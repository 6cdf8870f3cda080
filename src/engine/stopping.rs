//! What a stop does not wait for.

use tokio::sync::watch;

use super::source::Refused;

/// Tells a keeper that its gateway is to stop.
#[derive(Clone, Default)]
pub struct Stopping(watch::Sender<bool>);

impl Stopping {
    /// What is being read or compiled is given up, now and from now on; what is being put in force will be.
    pub fn tell(&self) {
        self.0.send_replace(true);
    }

    async fn told(&self) {
        // The sender is this one.
        _ = self.0.subscribe().wait_for(|is_told| *is_told).await;
    }

    /// What this comes to, or that it was given up.
    pub(super) async fn unless_told<T>(&self, work: impl Future<Output = T>) -> Result<T, Refused> {
        tokio::select! {
            biased;
            () = self.told() => Err(Refused::because("the gateway is being stopped")),
            done = work => Ok(done),
        }
    }
}
