//! `get_ref`, `get_mut`, `into_inner` and `Debug` of a service around another one.

/// The way from a service to its inner one, and a `Debug` that prints that alone. A service may have
/// one type parameter besides that of the inner service.
macro_rules! inner_service {
    ($service:ident $(<$more:ident>)?, $($inner:ident).+) => {
        impl<S $(, $more)?> $service<S $(, $more)?> {
            /// The inner service.
            pub fn get_ref(&self) -> &S {
                &self.$($inner).+
            }

            /// The inner service, to change it.
            pub fn get_mut(&mut self) -> &mut S {
                &mut self.$($inner).+
            }

            /// The inner service, taken out.
            pub fn into_inner(self) -> S {
                self.$($inner).+
            }
        }

        impl<S: ::std::fmt::Debug $(, $more)?> ::std::fmt::Debug for $service<S $(, $more)?> {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.debug_struct(stringify!($service))
                    .field("inner", self.get_ref())
                    .finish_non_exhaustive()
            }
        }
    };
}

pub(crate) use inner_service;
