import torch
from mmengine.registry import init_default_scope

from semamb_mm.functional import caa_scores
from semamb_mm.pretrain.inference import embed_dataset, read_attention

from .retrievers.test_embedding_retriever import build, samples


def test_a_data_set_is_embedded_in_its_order_and_read(capsys):
    init_default_scope("mmpretrain")
    model = build(data_preprocessor=dict(mean=[0], std=[255])).eval()
    images = torch.randint(0, 256, (5, 1, 32, 32), dtype=torch.uint8)
    given = samples(5)
    dataset = [dict(inputs=i, data_samples=s) for i, s in zip(images, given)]
    embeddings = embed_dataset(model, dataset, batch_size=2)
    expected = model(images.float() / 255, mode="tensor")
    torch.testing.assert_close(embeddings, expected.detach())
    assert "3/3" not in capsys.readouterr().out  # progress is no output
    labels = torch.tensor([int(sample.gt_label) for sample in given])
    attention = read_attention(model, embeddings, labels)
    context = model.head.context.weight
    expected = caa_scores(
        embeddings, context, labels, temperature=model.head.temperature
    )
    torch.testing.assert_close(attention, expected.detach())
