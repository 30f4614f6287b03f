//! The fixed names of the variants of an enum, and the list of these names, from one table.
//!
//! The JSON Schemas need the list. Written by hand beside the function, it would lack the name of
//! the next variant without anybody noticing. From one table it cannot: a variant that is not in
//! the table does not compile.

/// Defines the function that returns the name of a value, and the list of all names, which exists
/// only where the schemas are built.
macro_rules! named {
    (
        $(#[$of_list:meta])* $list_visibility:vis const $list:ident;
        $(#[$of_function:meta])* $visibility:vis fn $function:ident($type:ty);
        $($variants:pat => $name:literal),+ $(,)?
    ) => {
        $(#[$of_list])*
        #[cfg(any(test, feature = "schema"))]
        $list_visibility const $list: &[&str] = &[$($name),+];

        $(#[$of_function])*
        $visibility const fn $function(value: &$type) -> &'static str {
            match value {
                $($variants => $name),+
            }
        }
    };
}
pub(crate) use named;
