//! The three roles.

/// What a route asks of its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// May call models.
    Client,
    /// May look at all.
    Viewer,
    /// May do all on the admin plane.
    Admin,
}

impl Role {
    /// The word in `[access]`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Viewer => "viewer",
            Self::Admin => "admin",
        }
    }
}

/// The roles that a caller has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Roles(u8);

impl Roles {
    /// No role.
    pub const NONE: Self = Self(0);

    /// The same with one more.
    #[must_use]
    pub const fn with(self, role: Role) -> Self {
        Self(self.0 | 1 << role as u8)
    }

    /// Whether one is among them.
    pub const fn has(self, role: Role) -> bool {
        self.0 & (1 << role as u8) != 0
    }

    /// Whether there is any.
    pub const fn any(self) -> bool {
        self.0 != 0
    }
}
