//! Time: accepts connections, conducts each through its pipeline, ends it.
