//! The one place where durations are written out: `share.auto.offset.reset=by_duration:PT1H`.

/// Parses an ISO-8601 duration of days to seconds (`P1DT2H3M4.5S`) into milliseconds. Nothing for
/// another syntax, for a negative duration, or for one beyond a LONG.
pub fn parse_iso_millis(text: &str) -> Option<i64> {
    let body = text.strip_prefix(['P', 'p'])?;
    let (date, time) = match body.split_once(['T', 't']) {
        Some((date, time)) if !time.is_empty() => (date, time),
        Some(_) => return None,
        None => (body, ""),
    };
    if date.is_empty() && time.is_empty() {
        return None;
    }
    let mut millis: i64 = 0;
    if !take_unit(date, 'D', 86_400_000, &mut millis)?.is_empty() {
        return None;
    }
    let mut rest = time;
    for (unit, scale) in [('H', 3_600_000), ('M', 60_000)] {
        rest = take_unit(rest, unit, scale, &mut millis)?;
    }
    if !rest.is_empty() {
        let seconds = rest.strip_suffix(['S', 's'])?;
        let (whole, fraction) = seconds.split_once('.').unwrap_or((seconds, ""));
        if fraction.len() > 9 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let whole: i64 = whole.parse().ok()?;
        let thousandths = format!("{fraction:0<3}");
        let fraction: i64 = thousandths.get(..3)?.parse().ok()?;
        let signed = if seconds.starts_with('-') { -fraction } else { fraction };
        millis = millis.checked_add(whole.checked_mul(1000)?.checked_add(signed)?)?;
    }
    (millis >= 0).then_some(millis)
}

/// Takes `<number><unit>` off the front if it is there and adds it to the sum.
fn take_unit<'a>(text: &'a str, unit: char, scale: i64, sum: &mut i64) -> Option<&'a str> {
    let Some(at) = text.find([unit, unit.to_ascii_lowercase()]) else { return Some(text) };
    let (number, rest) = text.split_at(at);
    let number: i64 = number.parse().ok()?;
    *sum = sum.checked_add(number.checked_mul(scale)?)?;
    rest.get(1..)
}

pub(crate) fn is_share_offset_reset(text: &str) -> bool {
    match text.strip_prefix("by_duration:") {
        Some(duration) => parse_iso_millis(duration).is_some(),
        None => matches!(text, "latest" | "earliest"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn iso_durations() {
        assert_eq!(parse_iso_millis("PT1H"), Some(3_600_000));
        assert_eq!(parse_iso_millis("P1DT2H3M4.5S"), Some(93_784_500));
        assert_eq!(parse_iso_millis("P2D"), Some(172_800_000));
        assert_eq!(parse_iso_millis("PT0S"), Some(0));
        for bad in ["", "P", "PT", "P1", "1H", "PT1", "-PT1H", "PT-1H", "P1H", "PT1D", "PTxS"] {
            assert_eq!(parse_iso_millis(bad), None, "{bad}");
        }
    }
}
