//! What the operator of a certificate would want to know of it.

use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::config::fault::{Fault, Faults, KeyPath};
use crate::config::units::Moment;
use crate::stage::certificate::Certificate;

/// A certificate that ends sooner than this is warned of. What renews them by itself does so earlier.
pub(super) const SOON: Duration = Duration::from_hours(14 * 24);

/// How to make a certificate that clients take.
const HOW: &str = "make one for trials with: openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 365 \
     -subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -addext basicConstraints=critical,CA:FALSE \
     -keyout key.pem -out cert.pem";

/// Warns of a certificate that will not do, or not for long; `is_server` where clients are shown it.
pub(super) fn judge(says: &Certificate, file: &Path, at: &KeyPath, is_server: bool, now: SystemTime, warnings: &mut Faults) {
    let file = file.display();
    let warning = |message: String| Fault::warning(at.clone(), message);
    if says.not_before > now {
        warnings.push(warning(format!("the certificate in {file} is not valid before {}", Moment::at(says.not_before))));
    }
    if says.not_after <= now {
        let fault = warning(format!("the certificate in {file} has expired, at {}", Moment::at(says.not_after)));
        warnings.push(fault.hint("put a new one into its place: that is taken in like an edit, and closes nobody"));
    } else if says.not_after <= now + SOON {
        let fault = warning(format!("the certificate in {file} ends at {}", Moment::at(says.not_after)));
        warnings.push(fault.hint("put a new one into its place: that is taken in like an edit, and closes nobody"));
    }
    if !is_server {
        return;
    }
    if says.is_ca {
        let fault = warning(format!("the certificate in {file} is an authority's (CA:TRUE), and some clients refuse it from a server"));
        warnings.push(fault.hint(HOW));
    }
    if says.dns.is_empty() && says.ip.is_empty() {
        let fault = warning(format!("the certificate in {file} is for no name (subjectAltName), and clients go by nothing else"));
        warnings.push(fault.hint(HOW));
    }
}
