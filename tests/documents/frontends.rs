//! The files of config/ as they are: a pair of frontends that serves.

use crate::lan::{Lan, status};
use crate::support::{SOON, wait_for};

/// Every virtual address as a client writes it, and the frontend where it normally is.
const ADDRESSES: [(&str, &str); 4] =
    [("192.0.2.50", "fe0"), ("[2001:db8::50]", "fe0"), ("192.0.2.51", "fe1"), ("[2001:db8::51]", "fe1")];

/// What the client receives: the name of the frontend that answered, and the page.
fn asked(lan: &Lan, address: &str) -> (String, String) {
    let outcome = lan.client.run(&format!("curl --silent --include --max-time 2 http://{address}/"));
    let header = outcome.stdout.lines().find_map(|line| line.strip_prefix("X-Frontend: "));
    let page = outcome.stdout.lines().last().unwrap_or_default().to_owned();
    (header.unwrap_or_default().trim().to_owned(), page)
}

fn wait_served(lan: &Lan, address: &str, frontend: &str) {
    let wanted = (frontend.to_owned(), "the application".to_owned());
    wait_for(2 * SOON, format!("{frontend} serves {address}"), || asked(lan, address) == wanted);
}

#[test]
fn the_servers_accept_their_files() {
    let lan = Lan::with_the_pair();
    for frontend in [&lan.fe0, &lan.fe1] {
        for line in ["nginx -t", "haproxy -c -f /etc/haproxy/haproxy.cfg", "vrrpd --check"] {
            let outcome = frontend.run(line);
            assert_eq!(outcome.code, 0, "{line}: {outcome:#?}");
            let said = format!("{}{}", outcome.stdout, outcome.stderr).to_lowercase();
            assert!(!said.contains("warn"), "{line}: {outcome:#?}");
        }
    }
}

#[test]
fn both_serve_and_either_serves_all_when_the_other_lost_its_balancer_or_its_web_server() {
    let mut lan = Lan::with_the_pair();
    for (address, home) in ADDRESSES {
        wait_served(&lan, address, home);
    }
    for service in ["haproxy", "nginx"] {
        lan.fe0.systemctl("stop", service);
        for (address, _) in ADDRESSES {
            wait_served(&lan, address, "fe1");
        }
        let faults: Vec<_> = status(&lan.fe0).iter().map(|one| one["faults"].clone()).collect();
        assert!(faults.iter().all(|faults| faults.to_string().contains(service)), "{faults:?}");
        lan.fe0.systemctl("start", service);
        lan.wait_settled();
        for (address, home) in ADDRESSES {
            wait_served(&lan, address, home);
        }
    }
}

#[test]
fn an_application_that_is_down_takes_no_frontend_out_of_service() {
    let lan = Lan::with_the_pair();
    lan.lab.cut(lan.lab.node("app"));
    wait_for(2 * SOON, "haproxy knows that there is no application", || {
        lan.client.run("curl --silent --fail --max-time 2 http://192.0.2.50/").code == 22
    });
    for frontend in [&lan.fe0, &lan.fe1] {
        let ping = frontend.run("curl --silent --fail http://127.0.0.1:8080/ping");
        assert_eq!(ping.code, 0, "{ping:#?}");
        for one in status(frontend) {
            assert_eq!(one["faults"], serde_json::json!([]), "{one:#}");
        }
    }
}
