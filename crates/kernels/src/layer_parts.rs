//! The weights of a decoder layer, listed once.

/// Declares [`LayerParts`] from the list of its fields: `one` for a part of every layer, `maybe`
/// for a part that only some families have.
macro_rules! layer_parts {
    ($($(#[$doc:meta])* $name:ident: $kind:ident,)*) => {
        /// Something for each weight of a layer, such as its tensor, its elements or its gradient.
        pub struct LayerParts<T> {
            $($(#[$doc])* pub $name: layer_parts!(@type $kind T),)*
        }

        impl<T> LayerParts<T> {
            /// The same of references.
            pub fn as_ref(&self) -> LayerParts<&T> {
                LayerParts { $($name: layer_parts!(@as_ref $kind self.$name),)* }
            }

            /// What `f` makes of each part that is there.
            pub fn try_map<U, E>(
                self,
                mut f: impl FnMut(T) -> Result<U, E>,
            ) -> Result<LayerParts<U>, E> {
                Ok(LayerParts { $($name: layer_parts!(@map $kind self.$name, f),)* })
            }

            /// The parts that are there, in the order of the list.
            pub fn into_vec(self) -> Vec<T> {
                let mut all = Vec::new();
                $(layer_parts!(@push $kind self.$name, all);)*
                all
            }
        }
    };
    (@type one $t:ident) => { $t };
    (@type maybe $t:ident) => { Option<$t> };
    (@as_ref one $value:expr) => { &$value };
    (@as_ref maybe $value:expr) => { $value.as_ref() };
    (@map one $value:expr, $f:ident) => { $f($value)? };
    (@map maybe $value:expr, $f:ident) => { $value.map(&mut $f).transpose()? };
    (@push one $value:expr, $all:ident) => { $all.push($value) };
    (@push maybe $value:expr, $all:ident) => { $all.extend($value) };
}

// In the order of the forward pass. The order decides which random numbers a new model gets.
layer_parts! {
    /// Scale of the norm before the attention (hidden).
    attention_norm: maybe,
    /// (heads * `head_dim`, hidden)
    q_proj: one,
    /// (heads * `head_dim`)
    q_bias: maybe,
    /// (`kv_heads` * `head_dim`, hidden)
    k_proj: one,
    /// (`kv_heads` * `head_dim`)
    k_bias: maybe,
    /// (`kv_heads` * `head_dim`, hidden)
    v_proj: one,
    /// (`kv_heads` * `head_dim`)
    v_bias: maybe,
    /// Scale of the norm of queries: of each one (`head_dim`), or of all heads' together (heads *
    /// `head_dim`).
    q_norm: maybe,
    /// Scale of the norm of keys, likewise.
    k_norm: maybe,
    /// (hidden, heads * `head_dim`)
    o_proj: one,
    /// Scale of the norm after the attention, before its result is added (hidden).
    attention_out_norm: maybe,
    /// Scale of the norm before the MLP (hidden).
    mlp_norm: maybe,
    /// (intermediate, hidden)
    gate_proj: one,
    /// (intermediate, hidden)
    up_proj: one,
    /// (hidden, intermediate)
    down_proj: one,
    /// Scale of the norm after the MLP, before its result is added (hidden).
    mlp_out_norm: maybe,
}

impl<T: Clone> Clone for LayerParts<T> {
    fn clone(&self) -> Self {
        self.as_ref().map(T::clone)
    }
}

impl<T> LayerParts<T> {
    /// What `f` makes of each part that is there.
    pub fn map<U>(self, mut f: impl FnMut(T) -> U) -> LayerParts<U> {
        let Ok(parts) = self.try_map(|part| Ok::<_, std::convert::Infallible>(f(part)));
        parts
    }
}
