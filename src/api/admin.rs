//! Objects of the admin plane.
