//! Settings that decide memory only, chosen so that a run fits its device; and what to change where
//! none do.

use super::estimate::{Estimate, Reference, Workload};
use crate::error::{Error, Result};
use crate::experiment::{
    Adapter, Experiment, LoraConfig, MICRO_BATCH_TOKENS, Precision, Quantisation,
};
use crate::machine::in_gib;
use crate::model::DecoderSpec;

/// The share of a device's free memory that a plan may use: estimates are right to about 15 %, and
/// other programs keep running.
const USABLE: f64 = 0.9;

/// The share of it that a run may fill where it keeps forward passes, which only makes it faster.
const TRACED: f64 = 0.5;

/// Most tokens of a micro-batch on a device that has room for more than it needs. Products with more
/// rows are nearer to what a GPU can do, and every micro-batch reads and writes the sums of all
/// gradients once.
const LARGEST_MICRO_BATCH: usize = 4 * MICRO_BATCH_TOKENS;

/// How many times as long as a prompt a micro-batch is on the CPU, where there is room. Each computes
/// the prompt again for those of its responses that it has.
const PROMPTS: usize = 4;

/// A change of settings, in words and as a function.
type Change = (String, Box<dyn Fn(&mut Experiment)>);

/// How a run uses memory.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The choices among what decides its memory.
    pub workload: Workload,
    /// What it will need then.
    pub estimate: Estimate,
    /// What the device has for it, bytes, where known.
    pub available: Option<u64>,
}

impl Plan {
    /// The plan of an experiment with prompts of at most `prompt` tokens. Settings that the
    /// experiment gives stay; the others are those that need least recomputation and most
    /// completions at a time of those that fit, or the ones that need least memory. Where there is
    /// memory to spare then, micro-batches are larger on a GPU, and on the CPU where prompts are
    /// long; and on the CPU forward passes are kept from sampling.
    pub fn new(
        experiment: &Experiment,
        shape: &DecoderSpec,
        prompt: usize,
        on_cpu: bool,
        available: Option<u64>,
    ) -> Self {
        let mut workload = Workload::new(experiment, shape, prompt, on_cpu);
        let fits = |workload: &Workload, phase: fn(&Estimate) -> u64| {
            available.is_none_or(|available| {
                phase(&workload.estimate()) as f64 <= USABLE * available as f64
            })
        };
        let most_groups = workload.groups;
        workload.groups = experiment.rollout.groups_at_a_time.map_or(1, |_| most_groups);
        let objective = &experiment.objective;
        let recompute = objective.recompute_layers.map_or(vec![false, true], |given| vec![given]);
        // The machine's own memory cannot take in what it already holds.
        let has_choice = objective.offload_reference.is_none()
            && !on_cpu
            && workload.own_reference() == Reference::Resident;
        let references = if has_choice {
            vec![Reference::Resident, Reference::Offloaded]
        } else {
            vec![workload.reference]
        };
        let tokens = match objective.micro_batch_tokens {
            Some(given) => vec![given],
            // Processors gain next to nothing from more than half as many, and what they compute in
            // stays in memory.
            None => (usize::from(on_cpu)..4).map(|half| MICRO_BATCH_TOKENS >> half).collect(),
        };
        'choice: for &tokens in &tokens {
            for &recompute in &recompute {
                for &reference in &references {
                    (workload.micro_batch_tokens, workload.recompute) = (tokens, recompute);
                    workload.reference = reference;
                    if fits(&workload, Estimate::peak) {
                        break 'choice;
                    }
                }
            }
        }
        if objective.micro_batch_tokens.is_none()
            && available.is_some()
            && workload.micro_batch_tokens == tokens[0]
        {
            let usual = tokens[0];
            let most = if on_cpu {
                (PROMPTS * prompt).next_power_of_two().min(LARGEST_MICRO_BATCH)
            } else {
                LARGEST_MICRO_BATCH
            };
            // With the other settings as they are: no larger ones are worth it to compute layers
            // again or to move the reference.
            let large = std::iter::successors(Some(most), |tokens| Some(tokens / 2))
                .take_while(|&tokens| tokens > usual)
                .map(|micro_batch_tokens| Workload { micro_batch_tokens, ..workload.clone() })
                .find(|large| fits(large, Estimate::peak));
            workload = large.unwrap_or(workload);
        }
        if experiment.rollout.groups_at_a_time.is_none() {
            workload.groups = most_groups;
            while workload.groups > 1 && !fits(&workload, Estimate::sampling) {
                workload.groups -= 1;
            }
        }
        let may_trace = workload.is_layerwise() && !workload.recompute && experiment.resumes();
        if objective.traced_groups.is_none() && may_trace {
            // Halves, so that a little more or less memory rarely makes another choice: it moves the
            // last bits of the results.
            let choices = std::iter::successors(Some(workload.prompts), |groups| Some(groups / 2));
            workload.traced_groups = choices
                .take_while(|&groups| groups > 0)
                .find(|&traced_groups| {
                    let peak = Workload { traced_groups, ..workload.clone() }.estimate().peak();
                    available.is_some_and(|available| peak as f64 <= TRACED * available as f64)
                })
                .unwrap_or(0);
        }
        let estimate = workload.estimate();
        Self { workload, estimate, available }
    }

    /// Whether the run fits.
    pub fn fits(&self) -> bool {
        self.available.is_none_or(|available| self.estimate.peak() <= available)
    }

    /// Writes the choices into the experiment.
    pub fn settle(&self, experiment: &mut Experiment) {
        experiment.rollout.groups_at_a_time.get_or_insert(self.workload.groups);
        experiment.objective.micro_batch_tokens.get_or_insert(self.workload.micro_batch_tokens);
        experiment.objective.recompute_layers.get_or_insert(self.workload.recompute);
        experiment
            .objective
            .offload_reference
            .get_or_insert(self.workload.reference == Reference::Offloaded);
        experiment.objective.traced_groups.get_or_insert(self.workload.traced_groups);
    }

    /// Changes of settings, one at a time, with which the run would fit; the gentlest first. Where
    /// no single one is enough, the ones that save most together.
    pub fn remedies(&self, experiment: &Experiment) -> Vec<String> {
        let (workload, available) = (&self.workload, self.available);
        let with = |change: &dyn Fn(&mut Experiment)| {
            let mut changed = experiment.clone();
            change(&mut changed);
            Self::new(&changed, &workload.shape, workload.prompt, workload.on_cpu, available)
        };
        let mut changes: Vec<Change> = Vec::new();
        if experiment.rollout.groups_at_a_time.is_some_and(|groups| groups > 1) {
            changes.push((
                "rollout.groups_at_a_time=1".to_string(),
                Box::new(|e| e.rollout.groups_at_a_time = None),
            ));
        }
        if workload.traced_groups > 0 {
            changes.push((
                "objective.traced_groups=0".to_string(),
                Box::new(|e| e.objective.traced_groups = Some(0)),
            ));
        }
        if experiment.objective.recompute_layers == Some(false) {
            changes.push((
                "objective.recompute_layers=true".to_string(),
                Box::new(|e| e.objective.recompute_layers = None),
            ));
        }
        if experiment.objective.offload_reference == Some(false) && !workload.on_cpu {
            changes.push((
                "objective.offload_reference=true".to_string(),
                Box::new(|e| e.objective.offload_reference = None),
            ));
        }
        if experiment.objective.micro_batch_tokens.is_some_and(|tokens| tokens > 512) {
            changes.push((
                "objective.micro_batch_tokens=512".to_string(),
                Box::new(|e| e.objective.micro_batch_tokens = None),
            ));
        }
        if experiment.precision == Precision::F32 {
            changes
                .push(("precision=Bf16".to_string(), Box::new(|e| e.precision = Precision::Bf16)));
        }
        if matches!(experiment.adapter, Adapter::Lora(_)) && experiment.quantize_base.is_none() {
            let quantise: fn(&mut Experiment) = |e| e.quantize_base = Some(Quantisation::Nf4);
            changes.push(("quantize_base=Nf4".to_string(), Box::new(quantise)));
        }
        if experiment.adapter == Adapter::Full {
            let lora: fn(&mut Experiment) = |e| e.adapter = Adapter::Lora(LoraConfig::default());
            changes.push(("adapter=Lora(rank: 16)".to_string(), Box::new(lora)));
            changes.push((
                "precision=Bf16 and adapter=Lora(rank: 16)".to_string(),
                Box::new(|e| {
                    e.precision = Precision::Bf16;
                    e.adapter = Adapter::Lora(LoraConfig::default());
                }),
            ));
            changes.push((
                "precision=Bf16 and adapter=Lora(rank: 16) and quantize_base=Nf4".to_string(),
                Box::new(|e| {
                    e.precision = Precision::Bf16;
                    e.adapter = Adapter::Lora(LoraConfig::default());
                    e.quantize_base = Some(Quantisation::Nf4);
                }),
            ));
        }
        let mut tokens = experiment.rollout.max_new_tokens / 2;
        while tokens >= 256 {
            changes.push((
                format!("rollout.max_new_tokens={tokens}"),
                Box::new(move |e| e.rollout.max_new_tokens = tokens),
            ));
            tokens /= 2;
        }
        let mut found: Vec<String> = Vec::new();
        for (text, change) in &changes {
            let is_shorter = text.starts_with("rollout.max_new_tokens");
            let has_shorter = found.iter().any(|text| text.starts_with("rollout.max_new_tokens"));
            let has_part =
                text.contains(" and ") && found.iter().any(|one| text.contains(one.as_str()));
            if !has_part && (!is_shorter || !has_shorter) && with(change).fits() {
                found.push(text.clone());
            }
        }
        found
    }

    /// Refuses a run that does not fit.
    pub fn check(&self, experiment: &Experiment, device: &str) -> Result<()> {
        if self.fits() {
            return Ok(());
        }
        let remedies = self.remedies(experiment);
        let remedy = if remedies.is_empty() {
            "no single setting is enough; choose a smaller model or a larger device".to_string()
        } else {
            format!("it would fit with {}", remedies.join(", or with "))
        };
        Err(Error::input(format!(
            "the run needs about {}, but {device} has {} free; {remedy} (`orthant doctor` shows \
             what needs how much)",
            in_gib(self.estimate.peak()),
            in_gib(self.available.unwrap_or(0)),
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::from_text;
    use Reference::{Offloaded, Resident};

    fn experiment() -> Experiment {
        let text = r#"Experiment(name: "plan", model: Local("model"), task: Countdown(numbers: 3), precision: Bf16,
            rollout: (prompts_per_step: 16, group_size: 16, max_new_tokens: 1000),
            method: G2rl(), objective: (kl: (coefficient: 0.001)))"#;
        from_text(text, "test").unwrap()
    }

    /// A plan for Qwen3-1.7B on a device with that much memory.
    fn plan(experiment: &Experiment, gib: f64, on_cpu: bool) -> Plan {
        let shape = super::super::estimate::tests::qwen3_1_7b();
        let bytes = (gib * f64::from(1 << 30)) as u64;
        Plan::new(experiment, &shape, 200, on_cpu, Some(bytes))
    }

    fn choice(plan: &Plan) -> (usize, bool, Reference) {
        let Workload { micro_batch_tokens, recompute, reference, .. } = plan.workload;
        (micro_batch_tokens, recompute, reference)
    }

    /// The less memory there is, the more is given up, the cheapest first.
    #[test]
    fn the_reference_is_offloaded_before_layers_are_computed_again() {
        let mut found = Vec::new();
        for tenths in (200..=1400).rev() {
            found.push(choice(&plan(&experiment(), f64::from(tenths) / 10.0, false)));
            found.dedup();
        }
        let wanted = [
            (16384, false, Resident),
            (8192, false, Resident),
            (4096, false, Resident),
            (4096, false, Offloaded),
            (16384, true, Resident),
            (8192, true, Resident),
            (4096, true, Resident),
            (16384, true, Offloaded),
            (8192, true, Offloaded),
            (4096, true, Offloaded),
            (2048, true, Offloaded),
            (1024, true, Offloaded),
            (512, true, Offloaded),
        ];
        assert_eq!(found, wanted);
        let on_cpu = plan(&experiment(), 24.0, true).workload.reference;
        assert_eq!(on_cpu, Resident, "the machine's own memory is where it would go");
    }

    #[test]
    fn a_gpu_with_memory_to_spare_takes_the_largest_micro_batches_that_fit() {
        for tenths in 400..=1400 {
            let plan = plan(&experiment(), f64::from(tenths) / 10.0, false);
            let fits = |micro_batch_tokens: usize| {
                let workload = Workload { micro_batch_tokens, ..plan.workload.clone() };
                workload.estimate().peak() as f64 <= USABLE * plan.available.unwrap() as f64
            };
            let tokens = plan.workload.micro_batch_tokens;
            assert!(fits(tokens) && (tokens == 16384 || !fits(2 * tokens)), "{tokens}");
        }
    }

    #[test]
    fn micro_batches_are_as_large_as_the_experiment_says_or_as_processors_need() {
        let mut given = experiment();
        for tokens in [700, 4096, 100_000] {
            given.objective.micro_batch_tokens = Some(tokens);
            for (gib, on_cpu) in [(10.0, false), (40.0, false), (1000.0, false), (1000.0, true)] {
                assert_eq!(plan(&given, gib, on_cpu).workload.micro_batch_tokens, tokens);
            }
        }
        let shape = super::super::estimate::tests::qwen3_1_7b();
        let single = Experiment { precision: Precision::F32, ..experiment() };
        let on_cpu = |prompt: usize, gib: u64| {
            let plan = Plan::new(&single, &shape, prompt, true, Some(gib << 30));
            (plan.workload.micro_batch_tokens, plan.workload.recompute)
        };
        for (prompt, tokens) in [(200, 2048), (512, 2048), (513, 4096), (2000, 8192), (9000, 16384)]
        {
            assert_eq!(on_cpu(prompt, 1000), (tokens, false), "prompts of {prompt}");
        }
        // No other setting gives way to a larger one.
        let mut found: Vec<_> = (20..=120).map(|gib| on_cpu(2000, gib)).collect();
        found.dedup();
        let wanted =
            [(512, true), (4096, true), (8192, true), (2048, false), (4096, false), (8192, false)];
        assert_eq!(found, wanted);
        let unknown = Plan::new(&experiment(), &shape, 200, false, None);
        assert_eq!(choice(&unknown), (4096, false, Resident));
    }

    /// Forward passes are kept where half of the memory stays free, and where they are of use.
    #[test]
    fn forward_passes_are_kept_where_there_is_room_for_them() {
        let mut experiment = experiment();
        experiment.precision = Precision::F32;
        let traced = |experiment: &Experiment, gib, on_cpu| {
            plan(experiment, gib, on_cpu).workload.traced_groups
        };
        let mut found = Vec::new();
        for gib in (30..2000).rev() {
            let plan = plan(&experiment, f64::from(gib), true);
            let half = 0.5 * plan.available.unwrap() as f64;
            found.push(plan.workload.traced_groups);
            found.dedup();
            assert!(plan.workload.traced_groups == 0 || plan.estimate.peak() as f64 <= half);
        }
        assert_eq!(found, [16, 8, 4, 2, 1, 0]);
        assert_eq!(traced(&experiment, 1000.0, false), 0, "a GPU");
        let unknown =
            Plan::new(&experiment, &super::super::estimate::tests::qwen3_1_7b(), 200, true, None);
        assert_eq!(unknown.workload.traced_groups, 0);
        let with = |change: fn(&mut Experiment)| {
            let mut changed = experiment.clone();
            change(&mut changed);
            traced(&changed, 2000.0, true)
        };
        assert_eq!(with(|e| e.precision = Precision::Bf16), 0);
        assert_eq!(with(|e| e.objective.epochs = 2), 0);
        assert_eq!(with(|e| e.objective.minibatches = 2), 0);
        assert_eq!(with(|e| e.objective.recompute_layers = Some(true)), 0);
        assert_eq!(with(|e| e.objective.traced_groups = Some(3)), 3);

        experiment.objective.traced_groups = Some(16);
        let remedies = plan(&experiment, 60.0, true).remedies(&experiment);
        assert_eq!(remedies[0], "objective.traced_groups=0");
    }

    /// What a run began with is written down, and holds where there is more memory or less on resume.
    #[test]
    fn a_settled_experiment_is_not_planned_anew() {
        for began in [25.0, 60.0, 80.0, 140.0] {
            let mut settled = experiment();
            let first = plan(&settled, began, false);
            first.settle(&mut settled);
            for later in [20.0, 50.0, 140.0] {
                assert_eq!(choice(&plan(&settled, later, false)), choice(&first));
            }
        }
    }
}
