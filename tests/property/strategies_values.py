"""Random values of the language: text of a given shape (or of any shape), with the policies that it needs."""

from __future__ import annotations

from math import prod

from hypothesis import strategies as st

INITS = ["first", "mean", "stepwise", "zeros", "ones", "constant(0.5)", "normal", "normal(0.3)", "uniform(0.2)",
         "trunc_normal(0.1)", "kaiming_uniform", "kaiming_normal", "xavier_uniform", "xavier_normal", "orthogonal",
         "svd", "svd_joint", "match"]  # fmt: skip
CHAINS = ["tanh({})", "sigmoid({})", "exp({})", "-({})", "({}) / 2", "2 * ({})", "drop({}, 0.5)", "stop({})",
          "scale_grad({}, 0.5)", "scale({})", "flip({}, 0)", "roll({}, 1)", "roll({}, -2, dim=0)", "normalize({})",
          "softmax({})", "exp({}) - 1", "({}) + 0.25"]  # fmt: skip


class Writer:
    """Writes values of one spec; remembers the families and what has to be declared of them."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.plain: dict[str, tuple[int, ...]] = {}  # families without an index, whose shape is known
        self.policies: dict[str, dict[str, object]] = {}
        self.indices = [""]
        self.count = 0

    def choose(self, options):
        return self.draw(st.sampled_from(options))

    def number(self, low: int, high: int) -> int:
        return self.draw(st.integers(low, high))

    def name(self, shape: tuple[int, ...] | None, *, declared: bool = False) -> str:
        """A family for a tensor of that shape, one that is there or a new one, with its index."""
        known = [family for family, held in self.plain.items() if held == shape]
        if known and self.number(0, 3) == 3:
            return self.choose(known)
        family = "WVUPQRSTXYZABC"[self.count % 14] + ("" if self.count < 14 else str(self.count))
        self.count += 1
        index = self.choose(self.indices)
        if shape is not None and not index:
            self.plain[family] = shape
        if shape is not None and declared:
            self.policies[family] = {"shape": list(shape)}
        return family + index

    def value(self, shape: tuple[int, ...], depth: int) -> str:
        """A value of that shape."""
        if depth <= 0 or self.number(0, 3) == 0:
            return self.name(shape)
        kinds = [self._chain, self._sum, self._product, self._gathered, self._brought, self._cut, self._mixed]
        if len(shape) == 2:
            kinds += [self._matrix, self._matrix, self._matrix]
        if len(shape) > 1:
            kinds += [self._layout, self._own]
        return self.choose(kinds)(shape, depth - 1)

    def anything(self, depth: int) -> str:
        """A value of whatever shape the site has."""
        text = self.name(None)
        for _ in range(depth):
            text = self.choose(CHAINS).format(text)
        tails = ["", " + scale({})", " * {}", " + mix({}, 2)", " - {}", " + {} / 4"]
        return text + self.choose(tails).format(self.name(None))

    def _index(self) -> str:
        return self.choose([*self.indices, ""])

    def _chain(self, shape, depth):
        return self.choose(CHAINS).format(self.value(shape, depth))

    def _sum(self, shape, depth):
        return f"{self.value(shape, depth)} {self.choose('+-')} ({self.value(shape, depth)})"

    def _product(self, shape, depth):
        return f"({self.value(shape, depth)}) * ({self.value(shape, depth)})"

    def _cells(self, shape) -> str:
        """A scalar of the coordinates."""
        terms = [f"i{place} * {self.number(1, 3)}" for place in range(len(shape))]
        return self.choose([" + ".join(terms), f"({' + '.join(terms)}) % {self.number(1, 5)}", "i0 // 2", "i0",
                            f"hash(i0, '{self.choose('ab')}') % 3"])  # fmt: skip

    def _gathered(self, shape, depth):
        cells = prod(shape)
        match self.number(0, 7):
            case 0:
                size = self.number(1, 2 * cells)
                sign = self.choose(["", ", sign=False", ", seed=3", f", chunk={self.number(1, size)}"])
                return f"hashed({self.name((size,), declared=True)}{sign}){self._index()}"
            case 1:
                return f"gather({self.name(None)}, {self._cells(shape)})"
            case 2:
                size = self.number(1, cells)
                return f"gather({self.name((size,), declared=True)}, {self._cells(shape)} - 1, outside=0.5)"
            case 3:
                block = self.choose([b for b in (1, 2, 3) if shape[0] % b == 0])
                name = self.name(None) if depth else self.name((6, *shape[1:]), declared=True)
                return f"rows({name}, {self.choose(['i0 // 2', 'i0', '0', '(i0 * 2) % 3'])}, block={block})"
            case 4:
                return f"mask({self.value(shape, depth)}, {self.choose(['i0 % 2', 'i0 >= 1', 'i0 == 0', '1'])})"
            case 5:
                size = self.number(1, 2 * cells)
                kind = self.choose(["", ", kind='sparse'", ", kind='fastfood'", ", seed=2"])
                return f"project({self.name((size,), declared=True)}{kind}){self._index()}"
            case 6:
                return f"reshape({self.value((cells,), depth)})"
            case _:
                first = self.choose([2, 3])
                return f"resize({self.name((first, self.number(1, 4)), declared=True)}, shape=[{first}, 1])"

    def _cut(self, shape, depth):
        dim = self.number(0, len(shape) - 1)
        written = self.choose([f", dim={dim}", f", dim={dim - len(shape)}"])
        size = shape[dim]
        match self.number(0, 3):
            case 0:
                start = self.number(0, 2)
                whole = (*shape[:dim], size + start + self.number(0, 1), *shape[dim + 1 :])
                return f"slice({self.value(whole, depth)}, {start}, {start + size}{written})"
            case 1:
                n = self.choose([n for n in (1, 2, 3) if size % n == 0])
                part = (*shape[:dim], size // n, *shape[dim + 1 :])
                block = self.choose(["", f", block={part[dim]}"])
                return f"repeat({self.value(part, depth)}, {n}{written}{block})"
            case 2 if size > 1:
                left = self.number(1, size - 1)
                one = self.value((*shape[:dim], left, *shape[dim + 1 :]), depth)
                two = self.value((*shape[:dim], size - left, *shape[dim + 1 :]), depth)
                return f"concat({one}, {two}{written})"
            case _:
                return f"concat({self.name(None)}, {self.name(None)}{written})"

    def _mixed(self, shape, depth):
        k = self.number(1, 3)
        tail = self.choose(["", "", ", softmax=True", f", top={self.number(1, k)}", f", softmax=True, top={k}"])
        if self.number(0, 3) == 0:
            block = self.choose([b for b in range(1, prod(shape) + 1) if prod(shape) % b == 0])
            return f"mix({self.name(None)}, {k}, block={block}{tail}){self._index()}"
        operand = self.value((k, *shape), depth) if self.number(0, 1) else self.name((k, *shape))
        return f"mix({operand}, {k}{tail}){self._index()}"

    def _brought(self, shape, depth):
        dim = self.number(0, len(shape) - 1)
        if self.number(0, 1):
            return f"scale({self.value(shape, depth)}, {dim}){self._index()}"
        dims = f", dim={dim}"
        return f"{self.choose(['normalize', 'softmax', 'normalize'])}({self.value(shape, depth)}{dims})"

    def _own(self, shape, depth):
        rank = self.number(1, min(shape[0], prod(shape[1:])))
        tail = self.choose([f"low_rank({rank})", f"low_rank({rank})", f"vera({rank}, seed=2)"]) + self._index()
        if self.number(0, 3) == 0:
            return f"basis({self.name(None)}, {rank}){self._index()}"
        return f"{self.value(shape, depth)} + {tail}"

    def _layout(self, shape, depth):
        match self.number(0, 3):
            case 0:
                order = self.draw(st.permutations(range(len(shape))))
                operand = [0] * len(shape)
                for size, place in zip(shape, order, strict=True):
                    operand[place] = size
                return f"permute({self.value(tuple(operand), depth)}, {', '.join(map(str, order))})"
            case 1:
                k = self.number(-1, 4)
                turned = shape if k % 2 == 0 else (*shape[:-2], shape[-1], shape[-2])
                return f"rot90({self.value(turned, depth)}, {k})"
            case 2:
                axes = self.draw(st.lists(st.integers(0, len(shape) - 1), min_size=1, unique=True))
                return f"flip({self.value(shape, depth)}, {', '.join(map(str, axes))})"
            case _:
                other = self.choose([(prod(shape),), (shape[0], prod(shape[1:])), tuple(reversed(shape))])
                return f"reshape({self.value(other, depth)}, {self.choose(['shape=', ''])}{list(shape)})"

    def _matrix(self, shape, depth):
        rows, columns = shape
        r = self.number(1, 3)
        match self.number(0, 6):
            case 0:
                return f"t({self.value((columns, rows), depth)})"
            case 1:
                left, right = self.name((rows, r), declared=True), self.value((r, columns), depth)
                return f"{left} @ ({right})"
            case 2:
                return f"({self.value((rows, r), depth)}) @ {self.name((r, columns), declared=True)}"
            case 3:
                return f"einsum('or,ri->oi', {self.name(None)}, {self.name(None)}, r={r})"
            case 4:
                a, b = ([n for n in (1, 2, 3) if size % n == 0] for size in shape)
                one = (self.choose(a), self.choose(b))
                lead = self.choose([(), (2,)])
                return f"kron({self.name((*lead, *one), declared=True)}, {self.name(None)})"
            case 5:
                pairs = {4: [[2, 2], [4, 1]], 6: [[2, 3], [6, 1]]}
                rs, cs = self.choose(pairs.get(rows, [[rows, 1]])), self.choose(pairs.get(columns, [[1, columns]]))
                return f"tt(G{self.number(0, 2)}, {rs}, {cs}, {r})"
            case _:
                return f"diag({self.name(None)})"
