"""Networks and layers: our own backbones for timm, pretrained weights, BatchNorm tools and AC-Norm.

Importing this package registers the backbones of :mod:`.cbr`, :mod:`.cifar_resnet`, :mod:`.cifar_vit` and
:mod:`.volumes` with timm.
"""

from transfusion_cli.models import cbr as cbr
from transfusion_cli.models import cifar_resnet as cifar_resnet
from transfusion_cli.models import cifar_vit as cifar_vit
from transfusion_cli.models.volumes import genesis as genesis
from transfusion_cli.models.volumes import medicalnet as medicalnet
from transfusion_cli.models.volumes import monai_networks as monai_networks
