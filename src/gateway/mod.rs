//! Shape to snapshot: compiles a config into one immutable value.
