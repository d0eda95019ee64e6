//! Tables of addresses and roles, the tricks among them.

use super::*;

fn list(endpoints: &[&str], roles: &[&str], prometheus: Option<&str>) -> AllowList {
    let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    AllowList::parse(&owned(endpoints), &owned(roles), prometheus).unwrap()
}

#[test]
fn aws_itself_needs_no_rule() {
    let list = AllowList::default();
    for (value, region) in [
        ("https://sqs.eu-central-1.amazonaws.com/123456789012/orders", Some("eu-central-1")),
        ("HTTPS://SQS.EU-Central-1.AmazonAWS.com:443/123456789012/orders", Some("eu-central-1")),
        ("https://sqs.cn-north-1.amazonaws.com.cn/123456789012/orders", Some("cn-north-1")),
        ("https://eu-west-1.queue.amazonaws.com/123456789012/orders", Some("eu-west-1")),
        ("https://queue.amazonaws.com/123456789012/orders", None),
    ] {
        let expected = Allowed::AwsRegional { region: region.map(str::to_owned) };
        assert_eq!(list.aws_endpoint("shop", "queueURL", value), Ok(expected), "{value}");
    }
    let interface = "https://vpce-0a1b-2c3d.sqs.eu-west-1.vpce.amazonaws.com";
    assert_eq!(
        list.aws_endpoint("shop", "awsEndpoint", interface),
        Ok(Allowed::AwsOther(interface.to_owned()))
    );
}

#[test]
fn tricks_are_refused() {
    let list = list(&["shop=http://prometheus.monitoring:9090/prometheus"], &[], None);
    for value in [
        "http://sqs.eu-central-1.amazonaws.com/1/orders",
        "https://sqs.eu-central-1.amazonaws.com:8443/1/orders",
        "https://sqs.eu-central-1.amazonaws.com.evil.org/1/orders",
        "https://sqs.eu-central-1.amazonaws.com./1/orders",
        "https://evilamazonaws.com/1/orders",
        "https://sqs.evilamazonaws.com/1/orders",
        "https://amazonaws.com/1/orders",
        "https://sqs.eu-central-1.amazonaws.com@evil.org/1/orders",
        "https://user:secret@sqs.eu-central-1.amazonaws.com/1/orders",
        "https://evil.org\\@sqs.eu-central-1.amazonaws.com/1/orders",
        "https://evil.org#.sqs.eu-central-1.amazonaws.com",
        "https://evil.org?.sqs.eu-central-1.amazonaws.com",
        "https://evil.org/.sqs.eu-central-1.amazonaws.com",
        "https://bucket.s3.eu-central-1.amazonaws.com/1/orders",
        "https://abc.execute-api.eu-central-1.amazonaws.com/1/orders",
        "https://vpce-1.vpce-svc-2.eu-central-1.vpce.amazonaws.com/1/orders",
        "https://sqs.evil.amazonaws.com/1/orders",
        "https://sqs\u{ff0e}evil.org/1/orders",
        "http://169.254.169.254/latest/meta-data",
        "http://[::1]:4566/000000000000/orders",
        "http://0x7f.1:4566/000000000000/orders",
        "http://localhost:4566/000000000000/orders",
        "file:///etc/passwd",
        "gopher://127.0.0.1:6379/_FLUSHALL",
        "//evil.org/1/orders",
        "orders",
        "",
        "http://prometheus.monitoring:9090/",
        "http://prometheus.monitoring:9090/prometheusx",
        "http://prometheus.monitoring:9090/prometheus/../admin",
        "http://prometheus.monitoring:9090/prometheus/%2e%2e/admin",
        "http://prometheus.monitoring:9090/prometheus/..%2fadmin",
        "http://prometheus.monitoring:9091/prometheus",
        "https://prometheus.monitoring:9090/prometheus",
        "http://prometheus.monitoring.evil.org:9090/prometheus",
    ] {
        for key in ["queueURL", "awsEndpoint"] {
            let answer = list.aws_endpoint("shop", key, value);
            assert!(answer.is_err(), "{value}: {answer:?}");
            assert!(!answer.unwrap_err().to_string().contains("secret"));
        }
        assert!(list.prometheus("shop", "prometheusServerAddress", value).is_err(), "{value}");
    }
}

#[test]
fn rules_allow_what_they_say() {
    let list = list(
        &[
            "shop=http://127.0.0.1:*",
            "team-*=mimir.internal",
            "team-*=elasticmq:9324",
            "pack=https://metrics.internal/tenant-*",
            "pack=http://[::1]:4566",
            "lab=*",
        ],
        &[],
        None,
    );
    for (namespace, value, expected) in [
        ("shop", "http://127.0.0.1:4566", true),
        ("shop", "http://127.1:4566", true),
        ("shop", "http://127.0.0.2:4566", false),
        ("shop", "https://127.0.0.1:4566", false),
        ("shops", "http://127.0.0.1:4566", false),
        ("team-a", "http://mimir.internal", true),
        ("team-a", "https://MIMIR.internal/prometheus", true),
        ("team-a", "https://mimir.internal:8443", false),
        ("team-a", "http://elasticmq:9324", true),
        ("team-a", "http://elasticmq", false),
        ("pack", "https://metrics.internal/tenant-7", true),
        ("pack", "https://metrics.internal/other", false),
        ("pack", "http://[0:0::1]:4566", true),
        ("lab", "http://anything:1", true),
        ("other", "http://anything:1", false),
    ] {
        let answer = list.prometheus(namespace, "prometheusServerAddress", value);
        assert_eq!(answer.is_ok(), expected, "{namespace} {value}: {answer:?}");
    }
}

#[test]
fn what_is_connected_to_is_what_was_parsed() {
    let list = list(&["*=http://127.0.0.1:*"], &[], None);
    assert_eq!(
        list.aws_endpoint("shop", "queueURL", "http://0x7f.1:4566/000000000000/orders"),
        Ok(Allowed::Foreign("http://127.0.0.1:4566".to_owned()))
    );
    assert_eq!(
        list.prometheus("shop", "prometheusServerAddress", "http://127.0.0.1:9090/mimir/").unwrap(),
        "http://127.0.0.1:9090/mimir"
    );
}

#[test]
fn the_operators_prometheus_is_for_all() {
    let list = list(&[], &[], Some("http://prometheus.monitoring:9090/"));
    let check = |value| list.prometheus("any", "prometheusServerAddress", value);
    assert!(check("http://prometheus.monitoring:9090").is_ok());
    assert!(check("http://prometheus.monitoring:9091").is_err());
}

#[test]
fn roles_need_a_rule() {
    let list =
        list(&[], &["shop=arn:aws:iam::123456789012:role/orders-*", "*=arn:aws:iam::1:role/all"], None);
    for (namespace, arn, expected) in [
        ("shop", "arn:aws:iam::123456789012:role/orders-reader", true),
        ("pack", "arn:aws:iam::123456789012:role/orders-reader", false),
        ("shop", "arn:aws:iam::999999999999:role/orders-reader", false),
        ("pack", "arn:aws:iam::1:role/all", true),
        ("pack", "arn:aws:iam::1:role/all-of-it", false),
    ] {
        assert_eq!(list.role(namespace, "awsRoleArn", arn).is_ok(), expected, "{namespace} {arn}");
    }
    let error = list.role("pack", "awsRoleArn", "arn:x").unwrap_err().to_string();
    assert!(error.contains("--allow-role") && error.contains("arn:x") && error.contains("pack"), "{error}");
}

#[test]
fn tenants_need_a_rule_each() {
    let rules = ["shop=fulfilment", "shop=returns", "team-*=team-*", "lab=*"].map(str::to_owned);
    let list = AllowList::default().with_tenants(&rules).unwrap();
    for (namespace, tenant, refused) in [
        ("shop", "fulfilment", None),
        ("shop", "fulfilment|returns", None),
        ("shop", "fulfilment|payroll", Some("payroll")),
        ("shop", "payroll|fulfilment", Some("payroll")),
        ("shop", "fulfilment|", Some("")),
        ("shop", "fulfilments", Some("fulfilments")),
        ("shop", "Fulfilment", Some("Fulfilment")),
        ("pack", "fulfilment", Some("fulfilment")),
        ("team-a", "team-b", None),
        ("team-a", "team-b|payroll", Some("payroll")),
        ("lab", "anything|else", None),
    ] {
        let answer = list.tenant(namespace, "prometheusTenant", tenant);
        let named = answer.err().map(|error| match error {
            AttachError::Forbidden { value, flag, .. } => (value, flag),
            AttachError::Unusable(message) => panic!("{message}"),
        });
        assert_eq!(named, refused.map(|tenant| (tenant.to_owned(), TENANT_FLAG)), "{namespace} {tenant}");
    }
    let error =
        AllowList::default().tenant("shop", "prometheusTenant", "fulfilment").unwrap_err().to_string();
    for word in ["prometheusTenant", "fulfilment", "shop", "--allow-tenant"] {
        assert!(error.contains(word), "{error}");
    }
    for rule in ["fulfilment", "shop=", "shop=a|b", "shop=*b", "shop=a*b"] {
        let error = AllowList::default().with_tenants(&[rule.to_owned()]).unwrap_err().to_string();
        assert!(error.contains(rule) && error.contains("--allow-tenant"), "{error}");
    }
}

#[test]
fn bad_rules_are_named() {
    for rule in [
        "http://no-namespace",
        "=http://host",
        "shop=",
        "shop=http://prom*",
        "shop=*.internal",
        "shop=ftp://host",
        "shop=http://user@host",
        "shop=http://host/a*b",
    ] {
        let error = AllowList::parse(&[rule.to_owned()], &[], None).unwrap_err().to_string();
        assert!(error.contains(rule) && error.contains("--allow-endpoint"), "{error}");
    }
}

#[test]
fn regions_are_one_plain_label() {
    for (text, expected) in [
        ("eu-central-1", true),
        ("us-gov-west-1", true),
        ("eusc-de-east-1", true),
        ("eu-central-1.evil.org", false),
        ("x@evil-1", false),
        ("eu-central-1/", false),
        ("EU-central-1", false),
        ("-eu", false),
        ("evil", false),
        ("", false),
    ] {
        assert_eq!(is_region(text), expected, "{text}");
    }
}
