//! Reading the attributes.

use syn::spanned::Spanned;
use syn::{Attribute, Error, Field, Ident, LitInt, LitStr, Result, Type};

/// A range of versions; an open end is `i16::MAX`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) min: i16,
    pub(crate) max: i16,
}

impl Range {
    pub(crate) const ALL: Range = Range { min: 0, max: i16::MAX };
    pub(crate) const NONE: Range = Range { min: 0, max: -1 };

    /// Whether every version of `other` is in the range.
    pub(crate) fn covers(self, other: Range) -> bool {
        self.min <= other.min && self.max >= other.max
    }

    fn parse(text: &LitStr) -> Result<Self> {
        let value = text.value();
        let number = |s: &str| s.parse::<i16>().map_err(|e| Error::new(text.span(), e));
        if value == "none" {
            return Ok(Range::NONE);
        }
        if let Some(min) = value.strip_suffix('+') {
            return Ok(Range { min: number(min)?, max: i16::MAX });
        }
        let (min, max) = value.split_once('-').unwrap_or((&value, &value));
        Ok(Range { min: number(min)?, max: number(max)? })
    }
}

/// `#[message(...)]`.
pub(crate) struct Top {
    pub(crate) versions: Range,
    pub(crate) flexible: Range,
}

impl Top {
    pub(crate) fn parse(attrs: &[Attribute]) -> Result<Option<Self>> {
        let Some(attr) = attrs.iter().find(|a| a.path().is_ident("message")) else {
            return Ok(None);
        };
        let (mut versions, mut flexible) = (None, Range::NONE);
        attr.parse_nested_meta(|meta| {
            if meta.path.is_ident("versions") {
                versions = Some(Range::parse(&meta.value()?.parse()?)?);
            } else if meta.path.is_ident("flexible") {
                flexible = Range::parse(&meta.value()?.parse()?)?;
            } else {
                return Err(meta.error("expected versions or flexible"));
            }
            Ok(())
        })?;
        let versions = versions.ok_or_else(|| Error::new(attr.span(), "versions are missing"))?;
        Ok(Some(Top { versions, flexible }))
    }
}

/// A field and its `#[field(...)]`.
pub(crate) struct Spec<'a> {
    pub(crate) name: &'a Ident,
    pub(crate) ty: &'a Type,
    pub(crate) versions: Range,
    pub(crate) nullable: Option<Range>,
    pub(crate) tag: Option<u32>,
    pub(crate) default: Option<LitStr>,
    pub(crate) ignorable: bool,
    pub(crate) inflexible: bool,
}

impl<'a> Spec<'a> {
    pub(crate) fn parse(field: &'a Field) -> Result<Self> {
        let name = field.ident.as_ref().ok_or_else(|| Error::new(field.span(), "no name"))?;
        let (mut versions, mut tagged) = (None, None);
        let mut spec = Spec {
            name,
            ty: &field.ty,
            versions: Range::ALL,
            nullable: None,
            tag: None,
            default: None,
            ignorable: false,
            inflexible: false,
        };
        for attr in field.attrs.iter().filter(|a| a.path().is_ident("field")) {
            attr.parse_nested_meta(|meta| {
                let key = meta.path.get_ident().map(Ident::to_string).unwrap_or_default();
                match key.as_str() {
                    "versions" => versions = Some(Range::parse(&meta.value()?.parse()?)?),
                    "nullable" => spec.nullable = Some(Range::parse(&meta.value()?.parse()?)?),
                    "tagged" => tagged = Some(Range::parse(&meta.value()?.parse()?)?),
                    "tag" => spec.tag = Some(meta.value()?.parse::<LitInt>()?.base10_parse()?),
                    "default" => spec.default = Some(meta.value()?.parse()?),
                    "ignorable" => spec.ignorable = true,
                    "flexible" => {
                        spec.inflexible = Range::parse(&meta.value()?.parse()?)? == Range::NONE;
                    }
                    _ => return Err(meta.error("unknown attribute of a field")),
                }
                Ok(())
            })?;
        }
        if spec.tag.is_some() != tagged.is_some() || tagged.is_some() && versions.is_some() {
            return Err(Error::new(
                name.span(),
                "a tagged field has `tag` and `tagged`, and no `versions`",
            ));
        }
        spec.versions = tagged.or(versions).unwrap_or(Range::ALL);
        if spec.nullable.is_some() != is_option(spec.ty) {
            return Err(Error::new(name.span(), "`nullable` and `Option` go together"));
        }
        Ok(spec)
    }
}

fn is_option(ty: &Type) -> bool {
    matches!(ty, Type::Path(p) if p.path.segments.last().is_some_and(|s| s.ident == "Option"))
}
