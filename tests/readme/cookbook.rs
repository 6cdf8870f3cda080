//! The situations of the cookbook, each served.
