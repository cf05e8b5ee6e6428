"""Stanford Online Products, for zero-shot retrieval."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from mmpretrain.registry import DATASETS

from semamb_mm.formats.tables import read_columns

from .retrieval_dataset import RetrievalDataset

PRODUCT = "product "  # before the number in a class's name
COLUMNS = ("image_id", "class_id", "super_class_id", "path")


@DATASETS.register_module()
class SOPRetrieval(RetrievalDataset):
    """Stanford Online Products for zero-shot retrieval; a class is a product.

    Song et al., "Deep Metric Learning via Lifted Structured Feature Embedding",
    CVPR 2016. 11,318 products (59,551 images) are for training, 11,316 others
    (60,502 images) for testing. ::

        Stanford_Online_Products
        ├── Ebay_train.txt      image_id class_id super_class_id path
        ├── Ebay_test.txt
        └── bicycle_final/111085122871_0.JPG    12 folders, one a super class

    ``val`` holds out the last products of each super class.

    Example:
        ```python
        train_dataloader = dict(dataset=dict(
            _delete_=True, type='SOPRetrieval',
            data_root='data/Stanford_Online_Products', split='train',
            pipeline=_base_.train_pipeline))
        ```

    Args:
        data_root (str): The folder ``Stanford_Online_Products``.
        **kwargs: :class:`RetrievalDataset`'s.

    Raises:
        FileNotFoundError: If one of the lists is missing, or the first image.
        ValueError: If a list has a wrong line.
    """

    def load_samples(self) -> list[dict]:
        """Images in the order of the list."""
        path = Path(self.data_root, f"Ebay_{self.part}.txt")
        super_class: dict[int, str] = {}
        samples = []
        rows = read_columns(path, COLUMNS)
        for number, (_, product, group, name) in enumerate(rows, start=2):
            if not product.isdecimal():
                raise ValueError(
                    f"{path}, line {number}: class_id is a number, got {product!r}"
                )
            if super_class.setdefault(int(product), group) != group:
                raise ValueError(
                    f"{path}, line {number}: class {product} is of super class "
                    f"{group}, and of {super_class[int(product)]} before"
                )
            samples.append(
                dict(img_path=f"{self.data_root}/{name}", gt_label=int(product))
            )
        products = sorted(super_class)
        self._super_classes = [super_class[product] for product in products]
        self._metainfo["classes"] = tuple(f"{PRODUCT}{number}" for number in products)
        label = {product: i for i, product in enumerate(products)}
        return [dict(s, gt_label=label[s["gt_label"]]) for s in samples]

    def class_groups(self, classes: Sequence[str]) -> list[int]:
        """Return each product's tenth of its super class."""
        sizes, before = Counter(self._super_classes), Counter()
        groups = []
        for name in self._super_classes:
            groups.append(10 * before[name] // sizes[name])
            before[name] += 1
        return groups

    def corrected_list(self, changed: Mapping[str, str]) -> str:
        """Return ``Ebay_train.txt`` with other products for some images."""
        rows = read_columns(Path(self.data_root, f"Ebay_{self.part}.txt"), COLUMNS)
        group = {row[1]: row[2] for row in rows}
        for row in rows:
            name = changed.get(f"{self.data_root}/{row[3]}")
            if name is not None:
                row[1] = name.removeprefix(PRODUCT)
                row[2] = group[row[1]]
        return "".join(" ".join(row) + "\n" for row in [COLUMNS, *rows])
