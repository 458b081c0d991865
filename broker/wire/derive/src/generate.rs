//! Writing the code.

use crate::attributes::{Range, Spec, Top};
use proc_macro2::TokenStream;
use quote::quote;
use syn::{Data, DeriveInput, Error, Fields, Ident, LitInt, Result};

pub(crate) fn message(input: &DeriveInput) -> Result<TokenStream> {
    let Data::Struct(data) = &input.data else {
        return Err(Error::new(input.ident.span(), "only structs are messages"));
    };
    let Fields::Named(fields) = &data.fields else {
        return Err(Error::new(input.ident.span(), "fields must have names"));
    };
    let top = Top::parse(&input.attrs)?;
    let fields = fields
        .named
        .iter()
        .map(|f| Spec::parse(f).and_then(|spec| Ok(Generated { default: default(&spec)?, spec })))
        .collect::<Result<Vec<_>>>()?;
    let this = Generator { name: &input.ident, top, fields };
    let (default, structure, message) =
        (this.default_impl(), this.struct_impl(), this.message_impl());
    let sample = cfg!(feature = "testing").then(|| this.sample_impl());
    Ok(quote!(#default #structure #message #sample))
}

/// A field, with the expression of its default.
struct Generated<'a> {
    spec: Spec<'a>,
    default: TokenStream,
}

struct Generator<'a> {
    name: &'a Ident,
    /// Of a message; `None` for a struct inside of messages.
    top: Option<Top>,
    fields: Vec<Generated<'a>>,
}

impl Generator<'_> {
    /// The versions that the code can ever see.
    fn all(&self) -> Range {
        self.top.as_ref().map_or(Range::ALL, |t| t.versions)
    }

    fn default_impl(&self) -> TokenStream {
        let name = self.name;
        let fields = self.fields.iter().map(|Generated { spec, default }| {
            let field = spec.name;
            quote!(#field: #default)
        });
        quote! {
            impl ::core::default::Default for #name {
                fn default() -> Self {
                    Self { #(#fields),* }
                }
            }
        }
    }

    fn struct_impl(&self) -> TokenStream {
        let name = self.name;
        let min_size = self.min_size();
        let names = self.fields.iter().map(|f| f.spec.name);
        let reads = self.fields.iter().map(|f| self.read(f));
        let read_tags = self.read_tags();
        let writes = self.fields.iter().map(|f| self.write(f));
        let write_tags = self.write_tags();
        quote! {
            impl ottla_wire::codec::Struct for #name {
                const MIN_SIZE: usize = #min_size;
                fn read(
                    d: &mut ottla_wire::Decoder,
                    l: ottla_wire::codec::Layout,
                ) -> ::core::result::Result<Self, ottla_wire::DecodeError> {
                    #(#reads)*
                    #read_tags
                    Ok(Self { #(#names),* })
                }
                fn write(
                    &self,
                    e: &mut ottla_wire::Encoder,
                    l: ottla_wire::codec::Layout,
                ) -> ::core::result::Result<(), ottla_wire::EncodeError> {
                    #(#writes)*
                    #write_tags
                    Ok(())
                }
            }
        }
    }

    fn message_impl(&self) -> Option<TokenStream> {
        let name = self.name;
        let text = name.to_string();
        let top = self.top.as_ref()?;
        let (versions, flexible) = (range(top.versions), range(top.flexible));
        Some(quote! {
            impl ottla_wire::Message for #name {
                const NAME: &'static str = #text;
                const VERSIONS: ottla_wire::Versions = #versions;
                const FLEXIBLE: ottla_wire::Versions = #flexible;
                fn decode(
                    d: &mut ottla_wire::Decoder,
                    version: i16,
                ) -> ::core::result::Result<Self, ottla_wire::DecodeError> {
                    ottla_wire::codec::decode_message(d, version)
                }
                fn encode(
                    &self,
                    e: &mut ottla_wire::Encoder,
                    version: i16,
                ) -> ::core::result::Result<(), ottla_wire::EncodeError> {
                    ottla_wire::codec::encode_message(self, e, version)
                }
            }
        })
    }

    /// What tests need: values of any shape, and a text of all fields that Kafka's classes can give
    /// too.
    fn sample_impl(&self) -> TokenStream {
        let name = self.name;
        let samples = self.fields.iter().map(|Generated { spec, default }| {
            let field = spec.name;
            let sample = match spec.nullable {
                None => quote!(g.value(l)),
                Some(nullable) => {
                    let nullable = self.nullable(spec, nullable);
                    quote!(g.nullable(l, #nullable))
                }
            };
            match self.condition(spec.versions) {
                None => quote!(#field: #sample),
                Some(present) => quote!(#field: if #present { #sample } else { #default }),
            }
        });
        let dumps = self.fields.iter().map(|f| {
            let field = f.spec.name;
            let plain = field.to_string().trim_start_matches("r#").replace('_', "");
            quote!(ottla_wire::testing::dump_field(out, #plain, &self.#field);)
        });
        quote! {
            impl ottla_wire::testing::Sample for #name {
                fn sample(g: &mut ottla_wire::testing::Gen<'_>, l: ottla_wire::codec::Layout) -> Self {
                    Self { #(#samples),* }
                }
                fn dump(&self, out: &mut ::std::string::String) {
                    out.push('{');
                    #(#dumps)*
                    out.push('}');
                }
            }
        }
    }

    /// The sum over the fields that no version lacks.
    fn min_size(&self) -> TokenStream {
        let sizes = self.fields.iter().map(|f| &f.spec);
        let sizes = sizes.filter(|s| s.tag.is_none() && s.versions.covers(self.all())).map(|s| {
            let ty = s.ty;
            match s.nullable {
                Some(_) => quote!(1),
                None => quote!(<#ty as ottla_wire::codec::Value>::MIN_SIZE),
            }
        });
        quote!(0 #(+ #sizes)*)
    }

    fn read(&self, Generated { spec, default }: &Generated<'_>) -> TokenStream {
        let name = spec.name;
        if spec.tag.is_some() {
            return quote!(let mut #name = #default;);
        }
        let get = self.get(spec);
        match self.condition(spec.versions) {
            None => quote!(let #name = #get;),
            Some(present) => quote!(let #name = if #present { #get } else { #default };),
        }
    }

    fn get(&self, spec: &Spec<'_>) -> TokenStream {
        let layout = layout(spec);
        match spec.nullable {
            None => quote!(d.get(#layout)?),
            Some(_) if spec.tag.is_some() => quote!(d.get_tagged(#layout)?),
            Some(nullable) => {
                let nullable = self.nullable(spec, nullable);
                quote!(d.get_nullable(#layout, #nullable)?)
            }
        }
    }

    fn read_tags(&self) -> TokenStream {
        let arms = self.fields.iter().filter_map(|f| {
            let spec = &f.spec;
            let (tag, name) = (tag(spec)?, spec.name);
            let get = self.get(spec);
            let present = self.condition(spec.versions).map(|c| quote!(if #c));
            Some(quote!(#tag #present => { #name = #get; true }))
        });
        let arms = arms.collect::<Vec<_>>();
        let tags = if arms.is_empty() {
            quote!(d.skip_tags()?;)
        } else {
            quote! {
                d.tags(&mut |d, tag| Ok(match tag {
                    #(#arms)*
                    _ => false,
                }))?;
            }
        };
        self.if_flexible(tags)
    }

    fn write(&self, Generated { spec, default }: &Generated<'_>) -> TokenStream {
        let (name, layout) = (spec.name, layout(spec));
        let (this, text) = (self.name.to_string(), name.to_string());
        let put = match spec.nullable {
            _ if spec.tag.is_some() => quote!(),
            None => quote!(e.put(&self.#name, #layout)?;),
            Some(nullable) => {
                let nullable = self.nullable(spec, nullable);
                quote!(e.put_nullable(self.#name.as_ref(), #layout, #nullable, #text)?;)
            }
        };
        let Some(present) = self.condition(spec.versions) else { return put };
        let refuse = (!spec.ignorable).then(|| {
            let differs = differs(spec, default);
            quote!(else if #differs { return Err(e.unsupported(#this, #text, l)); })
        });
        match (spec.tag, refuse) {
            (Some(_), None) => quote!(),
            (_, refuse) => quote!(if #present { #put } #refuse),
        }
    }

    fn write_tags(&self) -> TokenStream {
        let mut tagged = self.fields.iter().filter(|f| f.spec.tag.is_some()).collect::<Vec<_>>();
        tagged.sort_by_key(|f| f.spec.tag);
        if tagged.is_empty() {
            return self.if_flexible(quote!(e.uvarint(0);));
        }
        let puts = tagged.iter().filter_map(|Generated { spec, default }| {
            let (tag, name) = (tag(spec)?, spec.name);
            let put = match spec.nullable {
                None => quote!(e.tag(&mut tags, #tag, &self.#name, l)?;),
                Some(_) => quote!(e.tag_nullable(&mut tags, #tag, self.#name.as_ref(), l)?;),
            };
            let differs = differs(spec, default);
            let present = self.condition(spec.versions).map(|c| quote!(#c &&));
            Some(quote!(if #present #differs { #put }))
        });
        self.if_flexible(quote! {
            let mut tags = e.open_tags();
            #(#puts)*
            e.close_tags(tags);
        })
    }

    /// The code if the layout is flexible, without the question if that is known.
    fn if_flexible(&self, code: TokenStream) -> TokenStream {
        match &self.top {
            Some(top) if top.flexible == Range::NONE => quote!(),
            Some(top) if top.flexible.covers(top.versions) => code,
            _ => quote!(if l.flexible { #code }),
        }
    }

    /// The question whether the version is in the range; `None` if it always is.
    fn condition(&self, versions: Range) -> Option<TokenStream> {
        let Range { min, max } = versions;
        (!versions.covers(self.all())).then(|| quote!(l.within(#min, #max)))
    }

    fn nullable(&self, spec: &Spec<'_>, nullable: Range) -> TokenStream {
        if nullable.covers(spec.versions) {
            return quote!(true);
        }
        self.condition(nullable).unwrap_or_else(|| quote!(true))
    }
}

fn layout(spec: &Spec<'_>) -> TokenStream {
    if spec.inflexible { quote!(l.inflexible()) } else { quote!(l) }
}

fn tag(spec: &Spec<'_>) -> Option<LitInt> {
    spec.tag.map(|tag| LitInt::new(&format!("{tag}u32"), spec.name.span()))
}

/// The question whether a field holds something else than its default.
fn differs(spec: &Spec<'_>, default: &TokenStream) -> TokenStream {
    let name = spec.name;
    match spec.default.as_ref().map(|d| d.value()) {
        Some(d) if d == "null" => quote!(self.#name.is_some()),
        Some(d) if d == "true" => quote!(!self.#name),
        _ => quote!(self.#name != #default),
    }
}

/// The expression of a field's default.
fn default(spec: &Spec<'_>) -> Result<TokenStream> {
    let Some(text) = &spec.default else {
        return Ok(match spec.nullable {
            Some(_) => quote!(Some(::core::default::Default::default())),
            None => {
                let ty = spec.ty;
                quote!(<#ty as ::core::default::Default>::default())
            }
        });
    };
    if text.value() == "null" {
        return Ok(quote!(None));
    }
    let value: syn::Expr = syn::parse_str(&text.value()).map_err(|e| Error::new(text.span(), e))?;
    Ok(quote!(#value))
}

fn range(Range { min, max }: Range) -> TokenStream {
    quote!(ottla_wire::Versions::new(#min, #max))
}
