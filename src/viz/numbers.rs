//! Numbers of a tensor, read from its device.

use tch::Tensor;
use tch::kind::Element;

/// All numbers of a tensor, in memory's order.
pub fn numbers_of<T: Element>(tensor: &Tensor) -> Vec<T>
where
    Vec<T>: TryFrom<Tensor>,
{
    Vec::try_from(tensor.to_kind(T::KIND).reshape([-1])).unwrap_or_default()
}
