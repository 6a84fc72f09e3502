"""Networks and layers: our own backbones for timm, pretrained weights, BatchNorm tools and AC-Norm.

Importing this package registers the backbones of :mod:`.cifar_resnet` and :mod:`.cbr` with timm.
"""

from transfusion_cli.models import cbr as cbr
from transfusion_cli.models import cifar_resnet as cifar_resnet
