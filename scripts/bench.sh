#!/usr/bin/env bash
# Runs the benchmarks of benches/ and puts their figures into one table. Installs what they need, and the runner
# of gungraun into .tools/.
source "$(dirname "${BASH_SOURCE[0]}")/need-cargo.sh"
gungraun=0.20.0
missing=()
command -v valgrind >/dev/null || missing+=(valgrind)
command -v column >/dev/null || missing+=(bsdextrautils)
if ((${#missing[@]})); then
  scripts/apt-install.sh "${missing[@]}"
fi
if [[ ! -x .tools/gungraun-$gungraun/bin/gungraun-runner ]]; then
  echo "building gungraun's runner $gungraun: some minutes, once"
  # Unoptimised: valgrind takes the time. Its target stays out of ours.
  CARGO_TARGET_DIR=.tools/gungraun-$gungraun/target cargo install gungraun-runner --version "$gungraun" --locked \
    --debug --quiet --root ".tools/gungraun-$gungraun"
  rm -rf ".tools/gungraun-$gungraun/target"
fi
export PATH="$PWD/.tools/gungraun-$gungraun/bin:$PATH"

out=target/bench
mkdir -p "$out"
cargo bench --locked --quiet --profile profiling --no-run
for bench in ticks forecast get_metrics memory replay; do
  echo "== $bench"
  cargo bench --locked --quiet --profile profiling --bench "$bench" | tee "$out/$bench.txt"
done

# Median of one of divan's lines, of `ticks` or of another bench.
divan() { awk -F '│' -v name="$1" '$1 ~ "[─ ]" name " " { gsub(/^ +| +$/, "", $3); print $3 }' "$out/${2:-ticks}.txt"; }
# Instructions of one of gungraun's benchmarks.
instructions() { awk -v name="::$1 " '/::/ { at = index($0, name) } at && /Instructions:/ { split($2, part, "|"); print part[1]; exit }' "$out/get_metrics.txt"; }
figure() { awk -F '\t' -v name="$1" '$1 == name { print $2 }' "$out/memory.txt"; }

echo
{
  echo "what|figure|aim"
  echo "GetMetrics, the handler|$(instructions handler) instructions|"
  echo "GetMetrics with decoding and encoding|$(instructions decode_handle_encode) instructions|"
  echo "the same by an echo|$(instructions decode_echo_encode) instructions|"
  echo "tick of a workload (median)|$(divan one_workload)|50 µs"
  echo "the same with a forecast (median)|$(divan one_workload_with_forecast)|50 µs"
  echo "forecast: a year of hours fitted, with quantiles of a day (median)|$(divan fit_a_year forecast)|1 ms"
  echo "the same by MSTL and AutoETS of augurs (median)|$(divan fit_a_year_mstl forecast)|"
  echo "forecast: update and an hour's outlook (median)|$(divan update_and_outlook forecast)|50 µs"
  echo "tick of 10,000, one thread (median)|$(divan ten_thousand_workloads)|"
  echo "tick of $(figure workloads) in the engine, $(figure threads) threads (median)|$(figure engine_tick_milliseconds) ms|"
  echo "simulated day of 50,000 orders, KEDA decides (median)|$(divan keda replay)|50 ms"
  echo "the same, ours decides 5,760 times (median)|$(divan ours replay)|"
  echo "memory of $(figure workloads) workloads|$(figure resident_megabytes) MB|256 MB"
  echo "memory of a workload|$(figure kilobytes_each) kB|"
  echo "memory with forecasts of five weeks|$(figure resident_megabytes_with_five_weeks) MB|"
} | column -t -s '|'
