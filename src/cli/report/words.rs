//! Figures as a person reads them.

/// `12345` as `12,345`.
pub(in crate::cli) fn grouped(count: impl Into<u64>) -> String {
    let digits = count.into().to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A share as a percentage; one that is not nothing never reads as nothing, nor one short of all as all.
pub(in crate::cli) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    let decimals = match percent {
        none if none <= 0.0 || none >= 100.0 => 0,
        near if !(0.01..=99.99).contains(&near) => 3,
        _ => 2,
    };
    match format!("{percent:.decimals$} %").as_str() {
        "0.000 %" => "< 0.001 %".to_owned(),
        "100.000 %" => "> 99.999 %".to_owned(),
        text => text.to_owned(),
    }
}

/// A sum with its sign.
pub(in crate::cli) fn signed(sum: f64) -> String {
    format!("{sum:+.2}")
}

/// Seconds as `12.3 s`, `4 min 05 s` or `2 h 03 min`.
pub(in crate::cli) fn span(seconds: f64) -> String {
    if seconds < 60.0 {
        return format!("{seconds:.1} s");
    }
    let whole = crate::replay::units::ceil(seconds.round());
    let (minutes, rest) = (whole / 60, whole % 60);
    if minutes < 60 {
        format!("{minutes} min {rest:02} s")
    } else {
        format!("{} h {:02} min", minutes / 60, minutes % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_read_well() {
        assert_eq!([0_u32, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(
            [0.0, 1.0, 0.0123, 0.00002, 0.000_000_1, 0.999_999_9].map(percent),
            ["0 %", "100 %", "1.23 %", "0.002 %", "< 0.001 %", "> 99.999 %"]
        );
        assert_eq!([0.04, 59.0, 245.0, 7380.0].map(span), ["0.0 s", "59.0 s", "4 min 05 s", "2 h 03 min"]);
        assert_eq!([signed(1.5), signed(-0.25)], ["+1.50", "-0.25"]);
    }
}
