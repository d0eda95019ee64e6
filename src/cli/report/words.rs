//! Figures as a person reads them.

/// `12345` as `12,345`.
pub(in crate::cli) fn grouped(count: impl Into<u64>) -> String {
    in_thousands(&count.into().to_string())
}

/// `1234.56` with one decimal as `1,234.6`; not below nothing.
pub(in crate::cli) fn decimal(figure: f64, decimals: usize) -> String {
    let text = format!("{:.decimals$}", figure.max(0.0));
    let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
    in_thousands(whole) + rest
}

/// `1 peak`, `2 peaks`, `1,000 peaks`.
pub(in crate::cli) fn counted(count: usize, one: &str) -> String {
    format!("{} {one}{}", in_thousands(&count.to_string()), if count == 1 { "" } else { "s" })
}

fn in_thousands(digits: &str) -> String {
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
    let sign = if sum < 0.0 { '-' } else { '+' };
    format!("{sign}{}", decimal(sum.abs(), 2))
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
        assert_eq!([1.5, -0.25, -1234.5].map(signed), ["+1.50", "-0.25", "-1,234.50"]);
        assert_eq!(
            [decimal(1_234_567.89, 1), decimal(999.96, 1), decimal(0.5, 2), decimal(4321.0, 0)],
            ["1,234,567.9", "1,000.0", "0.50", "4,321"]
        );
        let peaks = [0, 1, 2, 1000].map(|count| counted(count, "peak"));
        assert_eq!(peaks, ["0 peaks", "1 peak", "2 peaks", "1,000 peaks"]);
    }
}
