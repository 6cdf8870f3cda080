//! A gateway that a benchmark drives from outside, and what is made of the figures.

#![allow(dead_code, unreachable_pub, reason = "every benchmark takes what it needs of this")]
#![allow(missing_docs, reason = "a program, not an interface")]

pub mod figures;
pub mod gateway;
