// Asks a running peakscaler as KEDA does: through KEDA's own client code.
//
// It prints one line of JSON for each thing that was found right, and ends with an error at the first that was not.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

	v2 "k8s.io/api/autoscaling/v2"

	"github.com/kedacore/keda/v2/pkg/scalers"
	"github.com/kedacore/keda/v2/pkg/scalers/scalersconfig"
)

// metadata collects -metadata KEY=VALUE.
type metadata map[string]string

func (m metadata) String() string { return fmt.Sprint(map[string]string(m)) }

func (m metadata) Set(pair string) error {
	key, value, found := strings.Cut(pair, "=")
	if !found {
		return fmt.Errorf("%q is not KEY=VALUE", pair)
	}
	m[key] = value
	return nil
}

func main() {
	keys := metadata{}
	namespace := flag.String("namespace", "", "namespace of the ScaledObject")
	name := flag.String("name", "", "its name")
	expect := flag.Int64("expect", 0, "replicas that must be told")
	flag.Var(keys, "metadata", "KEY=VALUE of the trigger, repeatable")
	flag.Parse()

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := run(ctx, *namespace, *name, keys, *expect); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, namespace, name string, keys metadata, expect int64) error {
	external, err := scalers.NewExternalScaler(config(namespace, name, keys))
	if err != nil {
		return fmt.Errorf("NewExternalScaler: %w", err)
	}
	spec, err := oneSpec(external.GetMetricSpecForScaling(ctx))
	if err != nil {
		return fmt.Errorf("GetMetricSpec: %w", err)
	}
	found("GetMetricSpec", "%s, target %s", spec.Metric.Name, spec.Target.AverageValue)

	values, active, err := external.GetMetricsAndActivity(ctx, spec.Metric.Name)
	if err != nil {
		return fmt.Errorf("GetMetrics and IsActive: %w", err)
	}
	if len(values) != 1 || values[0].Value.MilliValue() != expect*1000 {
		return fmt.Errorf("GetMetrics: %v, not %d", values, expect)
	}
	found("GetMetrics", "%s", values[0].Value.String())
	if active != (expect > 0) {
		return fmt.Errorf("IsActive: %t with %d replicas", active, expect)
	}
	found("IsActive", "%t", active)

	if err := streams(ctx, config(namespace, name, keys), *spec); err != nil {
		return err
	}
	return refused(ctx, config(namespace, name, keys))
}

// streams runs KEDA's push scaler until both streams have told what the calls tell.
func streams(ctx context.Context, config *scalersconfig.ScalerConfig, called v2.ExternalMetricSource) error {
	push, err := scalers.NewExternalPushScaler(config)
	if err != nil {
		return fmt.Errorf("NewExternalPushScaler: %w", err)
	}
	active := make(chan bool)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go push.Run(ctx, active)
	watcher, ok := push.(interface{ MetricSpecChan() <-chan []v2.MetricSpec })
	if !ok {
		return fmt.Errorf("StreamMetricSpec: this KEDA does not stream specs")
	}
	select {
	case specs := <-watcher.MetricSpecChan():
		spec, err := oneSpec(specs)
		if err != nil {
			return fmt.Errorf("StreamMetricSpec: %w", err)
		}
		if spec.Metric.Name != called.Metric.Name || !spec.Target.AverageValue.Equal(*called.Target.AverageValue) {
			return fmt.Errorf("StreamMetricSpec: %v, but GetMetricSpec: %v", spec, called)
		}
		found("StreamMetricSpec", "the same as GetMetricSpec")
	case <-ctx.Done():
		return fmt.Errorf("StreamMetricSpec: nothing came")
	}
	select {
	case value := <-active:
		if !value {
			return fmt.Errorf("StreamIsActive: false, though replicas are wanted")
		}
		found("StreamIsActive", "%t", value)
	case <-ctx.Done():
		return fmt.Errorf("StreamIsActive: nothing came")
	}
	return nil
}

// refused asks with metadata that is wrong: the spec must still be answered, the number must not, and the error must
// name the key.
func refused(ctx context.Context, config *scalersconfig.ScalerConfig) error {
	config.TriggerMetadata["targetWait"] = "soon"
	external, err := scalers.NewExternalScaler(config)
	if err != nil {
		return fmt.Errorf("NewExternalScaler: %w", err)
	}
	spec, err := oneSpec(external.GetMetricSpecForScaling(ctx))
	if err != nil {
		return fmt.Errorf("GetMetricSpec of invalid metadata: %w", err)
	}
	_, _, err = external.GetMetricsAndActivity(ctx, spec.Metric.Name)
	if err == nil || !strings.Contains(err.Error(), "targetWait") {
		return fmt.Errorf("GetMetrics of invalid metadata: %v does not name targetWait", err)
	}
	found("invalid metadata", "%v", err)
	return nil
}

func config(namespace, name string, keys metadata) *scalersconfig.ScalerConfig {
	copied := map[string]string{}
	for key, value := range keys {
		copied[key] = value
	}
	return &scalersconfig.ScalerConfig{
		ScalableObjectName:      name,
		ScalableObjectNamespace: namespace,
		ScalableObjectType:      "ScaledObject",
		TriggerMetadata:         copied,
		TriggerIndex:            0,
		MetricType:              v2.AverageValueMetricType,
	}
}

func oneSpec(specs []v2.MetricSpec) (*v2.ExternalMetricSource, error) {
	if len(specs) != 1 || specs[0].External == nil || specs[0].External.Target.AverageValue == nil {
		return nil, fmt.Errorf("%v is not one external metric with an AverageValue", specs)
	}
	if specs[0].External.Target.AverageValue.MilliValue() != 1000 {
		return nil, fmt.Errorf("the target is %s, not 1", specs[0].External.Target.AverageValue)
	}
	return specs[0].External, nil
}

func found(call, format string, arguments ...any) {
	line, _ := json.Marshal(map[string]string{"call": call, "answer": fmt.Sprintf(format, arguments...)})
	fmt.Println(string(line))
}
