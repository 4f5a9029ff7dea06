//! What is counted (kind), what the provider counts of it (unit), and how a session ends (outcome).

/// Defines an enum whose variants have one lower-case spelling, used in files, on the command line and in logs.
macro_rules! spelled {
    ($(#[$meta:meta])* $name:ident, $what:literal { $($(#[$vmeta:meta])* $variant:ident = $number:literal $text:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum $name { $($(#[$vmeta])* $variant = $number),+ }

        impl $name {
            /// Every value, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }

            /// The value with this number (that of the contract), if there is one.
            pub const fn from_number(number: u32) -> Option<Self> {
                match number { $($number => Some(Self::$variant),)+ _ => None }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                Self::ALL.iter().copied().find(|value| value.as_str() == text).ok_or_else(|| {
                    let all: Vec<_> = Self::ALL.iter().map(|value| value.as_str()).collect();
                    format!(concat!($what, " {:?} is not known; it is one of {}"), text, all.join(", "))
                })
            }
        }
    };
}

pub(crate) use spelled;

spelled! {
    /// A model type or a connection type. The numbers are those of the contract.
    Kind, "kind" {
        Llm = 1 "llm",
        Stt = 2 "stt",
        Tts = 3 "tts",
        Realtime = 4 "realtime",
        Agent = 5 "agent",
        Participant = 6 "participant",
        Sip = 7 "sip",
        Ingress = 8 "ingress",
        Egress = 9 "egress",
    }
}

spelled! {
    /// What the provider counts against its limit. The numbers are those of the contract.
    Unit, "unit" {
        /// One open request or stream.
        Stream = 1 "stream",
        /// One open socket, idle ones too.
        Connection = 2 "connection",
        /// One generation in progress.
        Generation = 3 "generation",
    }
}

spelled! {
    /// How a session ended. The numbers are those of the contract.
    Outcome, "outcome" {
        Ok = 1 "ok",
        Cancelled = 2 "cancelled",
        Concurrency = 3 "concurrency",
        Rate = 4 "rate",
        Credits = 5 "credits",
        Unavailable = 6 "unavailable",
        Timeout = 7 "timeout",
        Auth = 8 "auth",
        Other = 9 "other",
        /// Its worker's lease ended. Set by the service alone.
        Lost = 10 "lost",
    }
}

impl Kind {
    /// Whether this kind counts models of a provider (and not connections, which have no model).
    pub const fn has_model(self) -> bool {
        matches!(self, Self::Llm | Self::Stt | Self::Tts | Self::Realtime)
    }

    /// The kind as people say it.
    pub const fn display_name(self) -> &'static str {
        match self {
            Self::Llm => "LLM",
            Self::Stt => "STT",
            Self::Tts => "TTS",
            Self::Realtime => "Realtime",
            Self::Agent => "Agent sessions",
            Self::Participant => "Participants",
            Self::Sip => "SIP calls",
            Self::Ingress => "Ingress",
            Self::Egress => "Egress",
        }
    }
}

impl Outcome {
    /// Number of outcomes, `Lost` included.
    pub const COUNT: usize = 10;

    /// The outcome's place in an array of [`Outcome::COUNT`].
    pub const fn index(self) -> usize {
        self as usize - 1
    }

    /// Whether it says that the provider failed; `None` where it says nothing of it. A refusal is an answer.
    pub const fn failed(self) -> Option<bool> {
        match self {
            Self::Unavailable | Self::Timeout | Self::Auth => Some(true),
            Self::Ok | Self::Concurrency | Self::Rate | Self::Credits | Self::Other => Some(false),
            Self::Cancelled | Self::Lost => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_round_trip() {
        for kind in Kind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(*kind));
        }
        assert_eq!(
            "video".parse::<Unit>(),
            Err("unit \"video\" is not known; it is one of stream, connection, generation".to_owned())
        );
        assert_eq!(Outcome::Lost.index(), Outcome::COUNT - 1);
    }
}
