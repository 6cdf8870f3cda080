//! What tables name that could not be read: that it is not there is told with their other faults, and not when those are mended.

use super::compile::Compiler;

impl Compiler<'_> {
    /// Looks for all that such tables name, as if it were named by tables that can be read. What else they mean is judged once they can.
    pub(super) fn mentions(&mut self) {
        let config = self.parts.config;
        for (at, mentions) in config.mentions() {
            for (index, name) in mentions.listener.iter().flat_map(|names| names.iter()).enumerate() {
                self.unknown(&at.key("listener").index(index), "listener", name);
            }
            for (key, stages) in [("pipeline", &mentions.pipeline), ("stages", &mentions.stages)] {
                self.parts.entries(&at.key(key), stages.as_deref().unwrap_or_default(), &[]);
            }
            if let Some(endpoint) = &mentions.endpoint {
                self.parts.endpoint(&at.key("endpoint"), endpoint);
            }
        }
    }
}
