//! What is made of the figures.

use std::fs;

/// The machine's load over the last minute.
pub fn load() -> String {
    fs::read_to_string("/proc/loadavg").unwrap().split(' ').next().unwrap().to_owned()
}

/// CPU of all of a process's threads so far, in µs.
pub fn cpu(process: u32) -> f64 {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let nanos = tasks.map(|task| {
        let text = fs::read_to_string(task.unwrap().path().join("schedstat")).unwrap();
        text.split(' ').next().unwrap().parse::<f64>().unwrap()
    });
    nanos.sum::<f64>() / 1000.0
}

/// A number of seconds that a line of the log tells.
pub fn seconds(line: &str, field: &str) -> f64 {
    let value = line.split(&format!("\"{field}\":")).nth(1).unwrap();
    value.split([',', '}']).next().unwrap().parse().unwrap()
}

pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The median, and the quartiles beside it.
pub fn quartiles(mut values: Vec<f64>) -> String {
    values.sort_by(f64::total_cmp);
    let at = |quarter: usize| values.get((values.len() - 1) * quarter / 4).copied().unwrap_or(f64::NAN);
    format!("{:.2} ({:.2} … {:.2})", at(2), at(1), at(3))
}
