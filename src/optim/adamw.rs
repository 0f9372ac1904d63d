//! `AdamW` (Loshchilov and Hutter, 2019) with master weights and moments in `f32` whatever the type
//! of the weights.

use super::gradients::Gradients;
use super::rule::Rule;
use crate::error::{Error, Result};
use crate::kernels::{self, Parameter};
use crate::weights::{self, TensorFiles, Weights, first_not_finite, write_tensors};
use candle_core::{DType, Tensor};
use std::collections::HashMap;
use std::path::Path;

/// The metadata of its file that says how many steps it has taken.
pub(crate) const STEPS: &str = "steps";

/// Constants of the update rule.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamWSettings {
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub eps: f64,
    /// Decoupled weight decay, applied to matrices only, not to norm weights.
    pub weight_decay: f64,
    /// The gradient is scaled down to this global norm where it is longer.
    pub max_grad_norm: f64,
}

/// One parameter's state.
struct Slot {
    name: String,
    variable: weights::Parameter,
    /// The `f32` weights; the variable itself where that is `f32`.
    master: Tensor,
    first: Tensor,
    second: Tensor,
}

impl Slot {
    /// Whether the rule applies in place.
    fn is_fused(&self, grad: &Tensor) -> bool {
        Rule::applies(&[&self.master, &self.first, &self.second, grad])
    }
}

/// The optimizer and its state.
pub struct AdamW {
    settings: AdamWSettings,
    slots: Vec<Slot>,
    steps: u64,
}

impl AdamW {
    /// An optimizer of all `weights` with zero moments.
    pub fn new(weights: &Weights, settings: AdamWSettings) -> Result<Self> {
        let slots = weights
            .variables()
            .map(|(name, variable)| {
                let master = variable.as_detached_tensor().to_dtype(DType::F32)?;
                Ok(Slot {
                    name: name.to_string(),
                    variable: variable.clone(),
                    first: master.zeros_like()?,
                    second: master.zeros_like()?,
                    master,
                })
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(Self { settings, slots, steps: 0 })
    }

    /// Steps taken.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// One update with the given learning rate from gradients with this global norm.
    ///
    /// New weights are stored when all of them are known to be finite. Fails otherwise, naming the
    /// first that is not: no weight has changed then, but the moments have, so the optimizer is not
    /// to be used any more.
    pub fn step(&mut self, gradients: &Gradients, norm: f64, learning_rate: f64) -> Result<()> {
        let AdamWSettings { beta1, beta2, eps, weight_decay, max_grad_norm } = self.settings;
        self.steps += 1;
        let scale = if norm > max_grad_norm { max_grad_norm / norm } else { 1.0 };
        if self.slots.iter().all(|slot| kernels::on_gpu(&[&slot.master, &slot.first, &slot.second]))
        {
            return self.step_on_gpu(gradients, scale, learning_rate);
        }
        let rule = Rule {
            beta1,
            beta2,
            eps,
            learning_rate,
            scale,
            correction1: 1.0 - beta1.powi(self.steps as i32),
            correction2: 1.0 - beta2.powi(self.steps as i32),
        };
        let decay = |slot: &Slot| {
            if slot.master.rank() > 1 { 1.0 - learning_rate * weight_decay } else { 1.0 }
        };
        // New weights are computed once to be looked at and once to be stored: keeping them in
        // between would take the memory of another model.
        let mut sums = Vec::with_capacity(self.slots.len());
        for slot in &mut self.slots {
            let grad = gradients.get(&slot.name).ok_or_else(|| {
                Error::failed(format!("the parameter `{}` received no gradient", slot.name))
            })?;
            if slot.is_fused(grad) {
                rule.moments(&slot.first, &slot.second, grad)?;
                sums.push(rule.changed_sum(
                    &slot.master,
                    &slot.first,
                    &slot.second,
                    decay(slot),
                )?);
            } else {
                (slot.first, slot.second) =
                    rule.moments_reference(&slot.first, &slot.second, grad)?;
                sums.push(
                    rule.changed_reference(&slot.master, &slot.first, &slot.second, decay(slot))?
                        .sum_all()?,
                );
            }
        }
        let named = self.slots.iter().map(|slot| slot.name.as_str()).zip(&sums);
        if let Some(name) = first_not_finite(named)? {
            return Err(Error::failed(format!(
                "the optimizer's step would make the weight `{name}` not finite"
            )));
        }
        for slot in &mut self.slots {
            if slot.is_fused(&slot.first) {
                // The master is the variable itself where that is f32.
                rule.change(&slot.master, &slot.first, &slot.second, decay(slot))?;
                if slot.variable.dtype() != DType::F32 {
                    slot.variable.set(&slot.master.to_dtype(slot.variable.dtype())?)?;
                }
                continue;
            }
            let updated =
                rule.changed_reference(&slot.master, &slot.first, &slot.second, decay(slot))?;
            slot.variable.set(&updated.to_dtype(slot.variable.dtype())?)?;
            slot.master = if slot.variable.dtype() == DType::F32 {
                slot.variable.as_detached_tensor()
            } else {
                updated
            };
        }
        Ok(())
    }

    /// The update by kernels that work in place, so that nothing is allocated.
    fn step_on_gpu(&self, gradients: &Gradients, scale: f64, learning_rate: f64) -> Result<()> {
        let AdamWSettings { beta1, beta2, eps, weight_decay, .. } = self.settings;
        let decay = (1.0 - learning_rate * weight_decay) as f32;
        let parameters = self.slots.iter().map(|slot| {
            let gradient = gradients.get(&slot.name).ok_or_else(|| {
                Error::failed(format!("the parameter `{}` received no gradient", slot.name))
            })?;
            Ok(Parameter {
                weight: &slot.variable,
                master: &slot.master,
                first: &slot.first,
                second: &slot.second,
                gradient,
                decay: if slot.master.rank() > 1 { decay } else { 1.0 },
            })
        });
        let parameters = parameters.collect::<Result<Vec<_>>>()?;
        let rule =
            kernels::Rule { beta1, beta2, eps, learning_rate, scale, steps: self.steps as i32 };
        match kernels::adamw(&parameters, rule)? {
            Some(place) => {
                let name = &self.slots[place].name;
                Err(Error::failed(format!(
                    "the optimizer's step would make the weight `{name}` not finite"
                )))
            }
            None => Ok(()),
        }
    }

    /// An optimizer of all `weights` in the state that [`Self::write`] left in a file.
    pub fn read(weights: &Weights, settings: AdamWSettings, path: &Path) -> Result<Self> {
        let bad = |what: String| {
            Error::input(format!(
                "the optimizer's state cannot be read: {what} ({})",
                path.display()
            ))
        };
        let named =
            |error: Error| Error::input(format!("the optimizer's state cannot be read: {error}"));
        let files = TensorFiles::open_file(path.to_path_buf()).map_err(named)?;
        let steps = files.metadata(STEPS).and_then(|steps| steps.parse().ok());
        let mut optimizer = Self::new(weights, settings)?;
        optimizer.steps = steps.ok_or_else(|| bad("it has no step count".to_string()))?;
        for slot in &mut optimizer.slots {
            let read = |kind: &str| -> Result<Tensor> {
                let name = format!("{kind}.{}", slot.name);
                let found =
                    files.read(&name, slot.variable.dims(), DType::F32, slot.variable.device());
                Ok(found.map_err(named)?.as_detached_tensor())
            };
            let master = read("master")?;
            slot.variable.set(&master.to_dtype(slot.variable.dtype())?)?;
            slot.master = if slot.variable.dtype() == DType::F32 {
                slot.variable.as_detached_tensor()
            } else {
                master
            };
            slot.first = read("first")?;
            slot.second = read("second")?;
        }
        Ok(optimizer)
    }

    /// Writes masters, moments and the step count.
    pub fn write(&self, path: &Path) -> Result<()> {
        let tensors = self.slots.iter().flat_map(|slot| {
            let kinds =
                [("master", &slot.master), ("first", &slot.first), ("second", &slot.second)];
            kinds.map(|(kind, tensor)| (format!("{kind}.{}", slot.name), tensor.clone()))
        });
        write_tensors(path, tensors, HashMap::from([(STEPS.to_string(), self.steps.to_string())]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::DecoderSpec;
    use candle_core::Device;

    fn tiny() -> DecoderSpec {
        DecoderSpec {
            vocab_size: 5,
            hidden_size: 4,
            intermediate_size: 6,
            num_hidden_layers: 1,
            num_attention_heads: 2,
            num_key_value_heads: 1,
            head_dim: 2,
            max_position_embeddings: 16,
            tie_word_embeddings: true,
            eos_token_ids: vec![0],
            ..DecoderSpec::default()
        }
    }

    #[test]
    fn two_steps_follow_the_equations_of_the_paper() {
        let weights = Weights::random(&tiny(), 0.1, 1, DType::F32, &Device::Cpu).unwrap();
        let settings = AdamWSettings {
            beta1: 0.9,
            beta2: 0.99,
            eps: 1e-8,
            weight_decay: 0.1,
            max_grad_norm: 1e9,
        };
        let mut optimizer = AdamW::new(&weights, settings).unwrap();
        let name = "model.norm.weight";
        let matrix = "model.embed_tokens.weight";
        let start: f64 = f64::from(
            weights.get(matrix).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap()[0],
        );
        let (mut m, mut v, mut norm_weight, mut embedding) = (0.0, 0.0, 1.0, start);
        for step in 1..=2 {
            // loss = sum of step * w^2 / 2 over all parameters has the gradient step * w
            let loss = weights
                .variables()
                .map(|(_, variable)| {
                    (variable.as_tensor().sqr().unwrap() * (step as f64 / 2.0))
                        .unwrap()
                        .sum_all()
                        .unwrap()
                })
                .reduce(|a, b| (a + b).unwrap())
                .unwrap();
            let mut gradients = Gradients::zeros(&weights).unwrap();
            gradients.accumulate(&weights, &loss.backward().unwrap()).unwrap();
            optimizer.step(&gradients, gradients.norm().unwrap(), 0.01).unwrap();
            let g = step as f64 * norm_weight;
            m = 0.9 * m + 0.1 * g;
            v = 0.99 * v + 0.01 * g * g;
            let hat = |x: f64, beta: f64| x / (1.0 - beta.powi(step));
            norm_weight -= 0.01 * hat(m, 0.9) / (hat(v, 0.99).sqrt() + 1e-8);
            embedding *= 1.0 - 0.01 * 0.1;
        }
        let got = f64::from(weights.get(name).unwrap().to_vec1::<f32>().unwrap()[0]);
        assert!((got - norm_weight).abs() < 1e-6, "{got} {norm_weight}");
        let got = f64::from(
            weights.get(matrix).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap()[0],
        );
        assert!((got - embedding).abs() < 0.021 && (got - start).abs() > 1e-3);
        assert_eq!(optimizer.steps(), 2);
    }

    #[test]
    fn long_gradients_are_scaled_to_the_limit() {
        let weights = Weights::random(&tiny(), 0.1, 1, DType::F32, &Device::Cpu).unwrap();
        let total: Tensor = weights
            .variables()
            .map(|(_, variable)| variable.as_tensor().sum_all().unwrap())
            .reduce(|a, b| (a + b).unwrap())
            .unwrap();
        let mut gradients = Gradients::zeros(&weights).unwrap();
        gradients.accumulate(&weights, &total.backward().unwrap()).unwrap();
        let expected = (tiny().parameter_count() as f64).sqrt();
        assert!((gradients.norm().unwrap() - expected).abs() < 1e-4);
    }

    #[test]
    fn a_parameter_without_gradient_is_named() {
        let weights = Weights::random(&tiny(), 0.1, 1, DType::F32, &Device::Cpu).unwrap();
        let loss = weights.get("model.norm.weight").unwrap().sum_all().unwrap();
        let mut gradients = Gradients::zeros(&weights).unwrap();
        let error = gradients.accumulate(&weights, &loss.backward().unwrap()).unwrap_err();
        assert!(error.to_string().contains("model."), "{error}");
    }

    #[test]
    fn a_step_that_would_break_a_weight_names_it_and_changes_none() {
        let weights = Weights::random(&tiny(), 0.1, 1, DType::F32, &Device::Cpu).unwrap();
        let before = weights.hash().unwrap();
        // Without eps, a gradient of 0 gives 0 / 0.
        let settings = AdamWSettings {
            beta1: 0.9,
            beta2: 0.99,
            eps: 0.0,
            weight_decay: 0.0,
            max_grad_norm: 1.0,
        };
        let mut optimizer = AdamW::new(&weights, settings).unwrap();
        let error = optimizer
            .step(&Gradients::zeros(&weights).unwrap(), 0.0, 0.01)
            .unwrap_err()
            .to_string();
        assert!(error.contains("model.") && error.contains("not finite"), "{error}");
        assert_eq!(weights.hash().unwrap(), before);
    }
}
