"""What is known to be wrong in the tables of Messidor, from the errata on its page."""

SOURCE = "https://www.adcis.net/en/third-party/messidor/"

GRADES: dict[str, int] = {
    "20051020_63045_0100_PP": 0,  # Base11, 31 August 2016: was 3
    "20051020_64007_0100_PP": 3,  # Base11, 24 October 2016: was 1
    "20051020_63936_0100_PP": 1,  # Base11, 24 October 2016: was 3
    "20060523_48477_0100_PP": 3,  # Base13, 24 October 2016: was 2
}
"""Right retinopathy grade of images whose grade is wrong."""

COPIES: tuple[tuple[str, str], ...] = (
    ("20051202_55582_0400_PP", "20051202_54744_0400_PP"),
    ("20051202_41076_0400_PP", "20051202_40508_0400_PP"),
    ("20051202_48287_0400_PP", "20051202_41238_0400_PP"),
    ("20051202_48586_0400_PP", "20051202_41260_0400_PP"),
    ("20051202_55457_0400_PP", "20051202_54530_0400_PP"),
    ("20051202_55626_0400_PP", "20051205_33025_0400_PP"),  # graded 2 and 3
    ("20051202_54783_0400_PP", "20051202_55607_0400_PP"),
    ("20051202_48575_0400_PP", "20051202_41034_0400_PP"),
    ("20051205_32966_0400_PP", "20051205_35099_0400_PP"),
    ("20051202_55484_0400_PP", "20051202_54555_0400_PP"),
    ("20051205_32981_0400_PP", "20051205_35110_0400_PP"),
    ("20051202_55562_0400_PP", "20051202_54611_0400_PP"),  # risk of oedema 0 and 1
    ("20051202_54547_0400_PP", "20051202_55498_0400_PP"),
)
"""Images of Base33 that are there twice (16 August 2017)."""
