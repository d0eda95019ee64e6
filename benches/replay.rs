//! How long a simulated day of 50,000 orders takes, by who decides. The aim: at most 50 ms.
//!
//! Ours is asked 5,760 times a day and takes as long for each as in `ticks`: that, not the world, is
//! most of its day. `world` is the centre alone under a fleet that never changes.

use divan::Bencher;
use peakscaler::replay::ScalingPolicy;
use peakscaler::replay::cells::{Happening, REGIMES, cell};
use peakscaler::replay::policies::{CorePolicy, Fixed, KedaSqs};
use peakscaler::replay::run::Cell;
use peakscaler::replay::scenario::OrderSource;
use peakscaler::replay::units::{DAY, ceil};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ORDERS: f64 = 50_000.0;

fn main() {
    divan::main();
}

/// One Sunday of 50,000 orders, each begun within five minutes.
fn day() -> Cell {
    let mut scenario = cell(REGIMES[1], Happening::Normal, 1, 1);
    (scenario.days, scenario.warm_up_days) = (1, 0);
    if let OrderSource::Generator(generator) = &mut scenario.orders {
        generator.orders_per_day = ORDERS;
    }
    let Ok(cell) = Cell::new(scenario) else { unreachable!("the benchmark's cells are valid") };
    cell
}

fn run<P: ScalingPolicy>(bencher: Bencher<'_, '_>, policy: impl Fn(&Cell) -> P) {
    let cell = day();
    bencher.with_inputs(|| policy(&cell)).bench_local_values(|mut policy| cell.run(&mut policy));
}

#[divan::bench]
fn world(bencher: Bencher<'_, '_>) {
    let cell = day();
    bencher.bench_local(|| {
        let mut world = cell.world();
        world.set_wanted(ceil(cell.least_peak()));
        world.advance_to(DAY);
        world
    });
}

#[divan::bench]
fn fixed(bencher: Bencher<'_, '_>) {
    run(bencher, |cell| Fixed::new(ceil(cell.least_peak())));
}

#[divan::bench]
fn keda(bencher: Bencher<'_, '_>) {
    run(bencher, |_| KedaSqs::with_defaults());
}

#[divan::bench]
fn ours_without_forecast(bencher: Bencher<'_, '_>) {
    run(bencher, |cell| CorePolicy::for_scenario(cell.scenario()));
}

#[divan::bench]
fn ours(bencher: Bencher<'_, '_>) {
    run(bencher, CorePolicy::ours);
}

/// Drawing the orders of the day, once for all policies.
#[divan::bench]
fn draw(bencher: Bencher<'_, '_>) {
    bencher.bench_local(day);
}
