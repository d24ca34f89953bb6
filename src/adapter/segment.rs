//! Segments of paths: names that others choose, written so that they stay names.

/// A path segment: everything but RFC 3986's unreserved characters is encoded, so that no model's name can change
/// which path or query is asked for.
pub fn encoded(segment: &str) -> String {
    let mut out = String::with_capacity(segment.len());
    for byte in segment.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}
