//! Settings that take one of a few words.

/// Declares enums whose variants are written, in YAML and on the command line, as the given words. An enum knows its words, so
/// that errors list them. Your crate needs `serde` with its feature `derive`.
///
/// ```
/// hydra_conf::choice! {
///     /// How a page is turned.
///     pub enum Turn {
///         /// Not at all.
///         None = "none",
///         /// By a quarter.
///         Quarter = "quarter",
///     }
/// }
///
/// assert_eq!(Turn::NAMES, ["none", "quarter"]);
/// assert_eq!(Turn::Quarter.to_string(), "quarter");
/// ```
#[macro_export]
macro_rules! choice {
    ($(
        $(#[$doc:meta])* $vis:vis enum $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal),+ $(,)? }
    )+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, ::serde::Serialize, ::serde::Deserialize)]
        $vis enum $name {
            $($(#[$variant_doc])* #[serde(rename = $word)] $variant,)+
        }

        impl $name {
            /// The words, in the order of the variants.
            pub const NAMES: &'static [&'static str] = &[$($word),+];

            /// The word for this variant.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl $crate::Setting for $name {
            const KIND: $crate::Kind = $crate::Kind::Choice(Self::NAMES);
        }
    )+};
}
