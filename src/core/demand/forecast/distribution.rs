//! Quantiles of over-dispersed counts: the negative binomial by its mean and variance.
//!
//! The negative binomial is a Poisson count of a gamma rate. Its quantiles are taken from the
//! gamma with its mean and variance by the cube-root normal approximation (Wilson and Hilferty
//! 1931), which needs no search, is continuous (a bin's quantile need not be a whole number, so
//! that coverage is right on average also for small counts) and scales with its argument.

/// Standard normal quantile (Acklam's rational approximation, relative error below 2e-9 in the
/// middle and 1e-8 in the tails). `probability` is clamped to `[1e-12, 1 - 1e-12]`.
pub fn normal_quantile(probability: f64) -> f64 {
    const A: [f64; 6] = [
        -3.969_683_028_665_376e1,
        2.209_460_984_245_205e2,
        -2.759_285_104_469_687e2,
        1.383_577_518_672_69e2,
        -3.066_479_806_614_716e1,
        2.506_628_277_459_239,
    ];
    const B: [f64; 5] = [
        -5.447_609_879_822_406e1,
        1.615_858_368_580_409e2,
        -1.556_989_798_598_866e2,
        6.680_131_188_771_972e1,
        -1.328_068_155_288_572e1,
    ];
    const C: [f64; 6] = [
        -7.784_894_002_430_293e-3,
        -3.223_964_580_411_365e-1,
        -2.400_758_277_161_838,
        -2.549_732_539_343_734,
        4.374_664_141_464_968,
        2.938_163_982_698_783,
    ];
    const D: [f64; 4] =
        [7.784_695_709_041_462e-3, 3.224_671_290_700_398e-1, 2.445_134_137_142_996, 3.754_408_661_907_416];
    let polynomial = |coefficients: &[f64], x: f64| {
        coefficients.iter().fold(0.0, |sum, coefficient| sum * x + coefficient)
    };
    let p = probability.clamp(1e-12, 1.0 - 1e-12);
    let tail = |p: f64| {
        let q = (-2.0 * p.ln()).sqrt();
        polynomial(&C, q) / (polynomial(&D, q) * q + 1.0)
    };
    if p < 0.024_25 {
        tail(p)
    } else if p > 1.0 - 0.024_25 {
        -tail(1.0 - p)
    } else {
        let q = p - 0.5;
        let r = q * q;
        polynomial(&A, r) * q / (polynomial(&B, r) * r + 1.0)
    }
}

/// The quantile of a count with this mean and variance at the standard normal score `z`.
///
/// Never negative, ascending in `z`; zero where the mean is zero.
pub fn count_quantile(mean: f64, variance: f64, z: f64) -> f64 {
    if mean <= 0.0 {
        return 0.0;
    }
    if variance <= 0.0 {
        return mean;
    }
    let ninth = variance / (9.0 * mean * mean);
    let root = (1.0 - ninth + z * ninth.sqrt()).max(0.0);
    mean * root * root * root
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normal_quantiles_are_the_tabled_ones() {
        for (p, z) in [
            (0.5, 0.0),
            (0.9, 1.281_551_565_5),
            (0.99, 2.326_347_874_0),
            (0.01, -2.326_347_874_0),
            (0.001, -3.090_232_306_2),
        ] {
            assert!((normal_quantile(p) - z).abs() < 1e-7, "p {p}: {}", normal_quantile(p));
        }
    }

    /// The exact quantile of the negative binomial, by summing its probabilities.
    fn exact_quantile(mean: f64, variance: f64, p: f64) -> f64 {
        let size = mean * mean / (variance - mean);
        let success = size / (size + mean);
        let mut probability = success.powf(size);
        let mut sum = probability;
        let mut count = 0.0;
        while sum < p {
            probability *= (count + size) / (count + 1.0) * (1.0 - success);
            sum += probability;
            count += 1.0;
        }
        count
    }

    #[test]
    fn quantiles_stay_within_a_count_of_the_exact_ones() {
        for mean in [1.0, 3.0, 10.0, 40.0, 200.0] {
            for dispersion in [1.2, 2.0, 4.0] {
                for p in [0.1, 0.5, 0.9, 0.99] {
                    let variance = mean * dispersion;
                    let exact = exact_quantile(mean, variance, p);
                    let ours = count_quantile(mean, variance, normal_quantile(p));
                    let off = (ours - exact).abs();
                    assert!(off <= 1.0 + 0.02 * exact, "{mean} {dispersion} {p}: {ours} for {exact}");
                }
            }
        }
    }

    #[test]
    fn quantiles_are_ordered_and_finite() {
        for (mean, variance) in [(0.0, 0.0), (1e-9, 1.0), (5.0, 0.0), (1e9, 1e19), (0.2, 3.0)] {
            let path: Vec<f64> =
                [-3.0, -1.0, 0.0, 1.0, 3.0].iter().map(|z| count_quantile(mean, variance, *z)).collect();
            assert!(path.windows(2).all(|pair| pair[0] <= pair[1]), "{path:?}");
            assert!(path.iter().all(|value| value.is_finite() && *value >= 0.0), "{path:?}");
        }
    }
}
