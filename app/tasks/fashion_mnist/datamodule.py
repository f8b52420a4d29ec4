"""The Fashion-MNIST data: the shared datamodule, and another way to recognise the test split."""

from torch.utils.data import Dataset

from app.tasks.shared.downloaded_images import IDXDataModule, joint_digest


class FashionMNISTDataModule(IDXDataModule):
    """Images `(1, 28, 28)` with values between 0 and 1, and classes from 0 to 9."""

    _as_read: Dataset[object] | None = None

    def setup(self, stage: str) -> None:
        """Read the part that the stage needs."""
        super().setup(stage)
        self._as_read = self.datasets.get("test")

    def test_fingerprint(self) -> str:
        """SHA-256 over the digests of the two test files as they are published, which is packed.

        These digests are public, those of the unpacked files are not; so a copy that was packed anew, or not at all,
        can be trained on but not tested on. Whatever is put in the place of what the files held is no longer theirs,
        and known by its own bytes.
        """
        if self.datasets.get("test") is not self._as_read:
            return super().test_fingerprint()
        return joint_digest(*(file.read_bytes() for file in self.paths("test")))
