"""Detection: boxes around objects, and what each shows; generated scenes by default, COCO-format data of one's own."""
