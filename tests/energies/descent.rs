//! The descent loop and its gradients, on energies small enough to reason about.

use nanoebm::energy::{self, Autograd, Descent, Energy, ExpectedEnergy, Noise, descend, descend_from, free_energy};
use proptest::prelude::*;
use tch::{Device, Kind, Tensor, no_grad};

use super::generator::alone;

const CPU: (Kind, Device) = (Kind::Float, Device::Cpu);

fn descent(steps: i64, alpha: f64) -> Descent {
    Descent { record: true, ..Descent::new(steps, Tensor::from(alpha as f32)) }
}

fn largest(x: &Tensor) -> f64 {
    x.abs().max().double_value(&[])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// The closed form and libtorch's autograd are the same gradient and the same value.
    #[test]
    fn closed_form_equals_autograd(
        seed in 0i64..1000,
        temperature in prop_oneof![Just(1.0), 0.3f64..3.0],
        entropy_weight in prop_oneof![Just(0.0), 0.01f64..2.0],
        spread in 0.1f64..8.0,
    ) {
        let _alone = alone();
        tch::manual_seed(seed);
        let (x, energies) = (Tensor::randn([2, 3, 7], CPU) * spread, Tensor::randn([2, 3, 7], CPU) * spread);
        let closed = ExpectedEnergy { energies: &energies, temperature, entropy_weight };
        let auto = Autograd {
            energy: |x: &Tensor| free_energy(x, &energies, temperature, entropy_weight),
            create_graph: false,
        };
        let ((value, grad), (auto_value, auto_grad)) = no_grad(|| (closed.value_and_grad(&x), auto.value_and_grad(&x)));
        let scale = largest(&energies) / temperature;
        prop_assert!(largest(&(value - auto_value)) <= 1e-5 * (1.0 + scale));
        prop_assert!(largest(&(grad - auto_grad)) <= 1e-5 * (1.0 + scale));
    }
}

/// Training differentiates through the loop: both ways must give the energies the same second-order gradient.
#[test]
fn gradients_through_the_loop_agree() {
    let _alone = alone();
    tch::manual_seed(3);
    let start = Tensor::randn([2, 3, 7], CPU);
    let through = |closed: bool| {
        let energies = (Tensor::arange(42, CPU) * 0.37).sin().view([2, 3, 7]).set_requires_grad(true);
        let energy: Box<dyn Energy> = if closed {
            Box::new(ExpectedEnergy { energies: &energies, temperature: 0.8, entropy_weight: 0.1 })
        } else {
            let energies = energies.shallow_clone();
            Box::new(Autograd { energy: move |x: &Tensor| free_energy(x, &energies, 0.8, 0.1), create_graph: true })
        };
        let x0 = -&energies + &start;
        let x = descend(energy.as_ref(), x0, &descent(3, 0.5)).x;
        let loss = x.log_softmax(-1, None).select(2, 1).sum(Kind::Float);
        Tensor::run_backward(&[loss], &[&energies], false, false).remove(0)
    };
    let (closed, auto) = (through(true), through(false));
    assert!(largest(&closed) > 0.1);
    assert!(largest(&(closed - auto)) < 1e-5);
}

#[test]
fn descent_goes_down_and_centres() {
    let _alone = alone();
    tch::manual_seed(1);
    let energies = Tensor::randn([1, 4, 9], CPU);
    let energy = ExpectedEnergy::plain(&energies);
    let path = descend(&energy, -&energies, &Descent { center: true, ..descent(20, 0.5) }).trajectory;
    assert_eq!(path.len(), 21);
    let mean = |x: &Tensor| energy::expected_energy(x, &energies).mean(Kind::Float).double_value(&[]);
    let falling = path.windows(2).all(|pair| mean(&pair[1]) < mean(&pair[0]));
    assert!(falling, "{:?}", path.iter().map(mean).collect::<Vec<_>>());
    assert!(largest(&path[20].mean_dim([-1i64].as_slice(), false, None::<Kind>)) < 1e-6);
}

#[test]
fn a_step_is_alpha_times_the_gradient_clipped_twice() {
    let _alone = alone();
    let energies = Tensor::from_slice(&[0f32, 100.0]).view([1, 1, 2]);
    let x = Tensor::zeros([1, 1, 2], CPU);
    let energy = ExpectedEnergy::plain(&energies); // gradient at 0: (−25, 25)
    let moved = |d: Descent| Vec::<f32>::try_from(descend(&energy, x.shallow_clone(), &d).x.view([2])).unwrap();
    assert_eq!(moved(descent(1, 0.1)), [2.5, -2.5]);
    assert_eq!(moved(Descent { grad_scale: 0.5, ..descent(1, 0.1) }), [1.25, -1.25]);
    assert_eq!(moved(Descent { grad_clamp: 5.0, ..descent(1, 0.1) }), [0.5, -0.5]);
    assert_eq!(moved(Descent { max_move: 0.25, ..descent(1, 0.1) }), [0.25, -0.25]);
}

#[test]
fn momentum_is_carried_from_step_to_step_and_from_call_to_call() {
    let _alone = alone();
    let energies = Tensor::zeros([1, 1, 2], CPU); // flat: no force, only momentum
    let energy = ExpectedEnergy::plain(&energies);
    let u = Some(Tensor::from_slice(&[1f32, -1.0]).view([1, 1, 2]));
    let d = Descent { momentum: 0.5, ..descent(2, 0.1) };
    let end = descend_from(&energy, Tensor::zeros([1, 1, 2], CPU), u, &d);
    assert_eq!(Vec::<f32>::try_from(end.x.view([2])).unwrap(), [0.75, -0.75]); // ½ + ¼
    assert_eq!(Vec::<f32>::try_from(end.velocity.unwrap().view([2])).unwrap(), [0.25, -0.25]);
}

#[test]
fn noise_of_a_refinement_decays_and_spares_the_last_step() {
    let _alone = alone();
    let energies = Tensor::zeros([1, 100, 100], CPU);
    let energy = ExpectedEnergy::plain(&energies);
    let spread = |noise: Noise, steps: i64| {
        tch::manual_seed(5);
        let d = Descent { noise, ..descent(steps, 0.1) };
        let path = descend(&energy, energies.shallow_clone(), &d).trajectory;
        path.windows(2).map(|p| (&p[1] - &p[0]).std(true).double_value(&[])).collect::<Vec<_>>()
    };
    let decaying = spread(Noise::Decaying(1.0), 4);
    for (measured, expected) in decaying.iter().zip([1.0, 0.75, 0.5, 0.0]) {
        assert!((measured - expected).abs() < 0.02, "{decaying:?}");
    }
    assert!(spread(Noise::Constant(0.3), 3).iter().all(|s| (s - 0.3).abs() < 0.01));
}

/// Langevin dynamics on a free energy with λ > 0 keeps moving around its minimum, softmax(−e/λ).
#[test]
fn entropy_keeps_the_minimum_inside() {
    let _alone = alone();
    let energies = Tensor::from_slice(&[0f32, 1.0, 2.0]).view([1, 1, 3]);
    let energy = ExpectedEnergy { energies: &energies, temperature: 1.0, entropy_weight: 0.7 };
    let x = descend(&energy, Tensor::zeros([1, 1, 3], CPU), &descent(3000, 1.0)).x;
    let expected = (&energies / -0.7).softmax(-1, None);
    assert!(largest(&(x.softmax(-1, None) - expected)) < 1e-4);
}
