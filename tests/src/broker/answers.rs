//! A host that is asked what clients may do, and says yes, later.

use tamtam_core::Storage;
use tamtam_core::broker::{Acceptance, Access, AskId, LinkId, Rule, RulesId, Verdict};

use super::world::{Wake, World};

const RULES: RulesId = RulesId(1);

impl<S: Storage> World<S> {
    /// A client is connected: about some of what it does the host is asked from now on, if it
    /// answers at all.
    pub(super) fn entitle(&mut self, link: LinkId) {
        if self.answer_ms.is_none() {
            return;
        }
        let rules = [
            Rule::ask("t/1/#", Access::ReadWrite),
            Rule::ask("r/+", Access::Write),
            Rule::ask("t/will/+", Access::Read),
            Rule::allow("#", Access::ReadWrite),
        ];
        let client = self.broker.client_of(link).map(|name| String::from_utf8_lossy(name).into());
        if let Some(client) = client.filter(|_| self.broker.rules(RULES, &rules).is_ok()) {
            let client: String = client;
            self.broker.entitle(&client, Some(RULES), None);
        }
    }

    /// The host is asked.
    pub(super) fn ask(&mut self, ask: AskId) {
        let most = self.answer_ms.unwrap_or(0);
        let when = self.now.plus_millis(self.dice.between(0, most));
        self.asks.push((when, ask));
        self.wake(when, Wake::Host);
    }

    /// It answers what it was asked long enough ago.
    pub(super) fn answer(&mut self) {
        let now = self.now;
        for (_, ask) in self.asks.extract_if(.., |(when, _)| *when <= now) {
            self.counts.questions += 1;
            self.broker.answer(ask, Verdict::Accept(Acceptance::default()), now);
        }
        self.observe();
    }
}
